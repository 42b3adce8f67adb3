package web

import (
	"strings"
	"testing"

	"arus/embed"
)

// TestStyleBlocksAreClosed counts braces: a block that stays open takes all that
// follows into a screen's width, and nothing else would say so.
func TestStyleBlocksAreClosed(t *testing.T) {
	t.Parallel()
	text, err := embed.Static.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	depth := 0
	for n, line := range strings.Split(string(text), "\n") {
		if depth > 0 && strings.HasPrefix(line, "@media") {
			t.Errorf("line %d: a block before it is open", n+1)
		}
		depth += strings.Count(line, "{") - strings.Count(line, "}")
	}
	if depth != 0 {
		t.Errorf("%d blocks stay open", depth)
	}
}
