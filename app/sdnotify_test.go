//go:build unix

package app

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheServiceManagerIsTold when the server is ready, that it is well, and
// when it ends.
func TestTheServiceManagerIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "n")
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "3000")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, Stdio{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	}()
	var heard []string
	buffer := make([]byte, 100)
	hear := func() string {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, string(buffer[:n]))
		return heard[len(heard)-1]
	}
	for well := 0; well < 3 || !slices.Contains(heard, "READY=1"); {
		if hear() == "WATCHDOG=1" {
			well++
		}
	}
	cancel(errors.New("the test is over"))
	for hear() != "STOPPING=1" {
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
