package api

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"arus/app/auth"
)

const apiPage = "../../docs/api.md"

// TestAPIPage keeps the table of docs/api.md as the routes are; with -update it writes it.
func TestAPIPage(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- routes: made by go test ./app/api -run TestAPIPage -update -->\n", "<!-- end of routes -->\n"
	page, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s lacks the lines %q and %q", apiPage, begin, end)
	}
	var b bytes.Buffer
	b.WriteString(head + begin)
	group := ""
	for _, rt := range routes() {
		if name := tag(rt); name != group {
			group = name
			fmt.Fprintf(&b, "\n### %s\n\n| route | takes | who | what |\n|---|---|---|---|\n", group)
		}
		who := string(auth.Needs(rt.needs))
		switch rt.needs {
		case auth.Public:
			who = "everybody"
		case auth.Anyone:
			who = "whoever is signed in"
		}
		var takes []string
		for name := range strings.FieldsSeq(rt.query) {
			takes = append(takes, "?"+name)
		}
		if rt.in != nil {
			takes = append(takes, "a body")
		}
		fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", rt.method, rt.path, strings.Join(takes, " "), who, rt.summary)
	}
	b.WriteString("\n" + end + tail)
	if *update {
		if err := os.WriteFile(apiPage, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(page, b.Bytes()) {
		t.Errorf("%s is not current: run 'go test ./app/api -run TestAPIPage -update'", apiPage)
	}
}
