package servers

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Chromium returns the path of a browser for chromedp, or skips the test. One that is installed is found also without
// the command.
func Chromium(t testing.TB) string {
	t.Helper()
	if c := (&chromium{}); os.Getenv(envChromium+"_URL") == "" && c.find() == nil {
		return c.file
	}
	return address(t, envChromium)
}

// program is no server but something that tests run themselves: it only has to be there.
type program interface {
	path() string
}

type chromium struct{ file string }

func (c *chromium) find() error {
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if c.file, err = lookup(name, "/Applications/Google Chrome.app/Contents/MacOS", "/Applications/Chromium.app/Contents/MacOS"); err == nil {
			return nil
		}
	}
	return err
}

func (c *chromium) path() string { return c.file }

var errProgram = errors.New("it is a program, not a server")

func (c *chromium) prepare(context.Context, string) error { return errProgram }

func (c *chromium) command(string, [3]int) ([]string, error) { return nil, errProgram }

func (c *chromium) probe(context.Context, string, int) (string, error) { return "", errProgram }
