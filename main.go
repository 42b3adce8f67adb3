// Command arus copies tables from databases into an analytics destination.
package main

import (
	"context"
	"os"

	"arus/app"
)

func main() {
	app.SaveMemory()
	stop := app.Profile()
	code := app.Main(context.Background(), os.Args[1:], app.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
