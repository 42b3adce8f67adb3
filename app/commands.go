package app

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arus/connectors/all"
)

// Commands is the whole command line, for what is generated from it. It is not
// there to be run.
func Commands() *cobra.Command {
	return newRoot(&environment{
		Stdio:    Stdio{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard},
		Registry: all.Registry(), Getenv: func(string) string { return "" }, Now: time.Now,
	})
}
