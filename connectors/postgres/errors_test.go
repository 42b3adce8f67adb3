package postgres

import (
	"net"
	"strconv"
	"testing"

	"arus/connectors"
)

// TestAServerThatGoesAwayBetweenTwoAttempts has no TLS, and is gone when it is asked without: that is what is told, and may be
// tried again.
func TestAServerThatGoesAwayBetweenTwoAttempts(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for n := 0; ; n++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			var request [8]byte
			if _, err := c.Read(request[:]); err == nil && n%2 == 0 {
				_, _ = c.Write([]byte("N"))
			}
			_ = c.Close()
		}
	}()
	defer func() { _ = listener.Close() }()
	for _, tt := range []struct {
		mode string
		want connectors.ErrorKind
	}{{"prefer", connectors.KindNetwork}, {"require", connectors.KindTLS}} {
		port := listener.Addr().(*net.TCPAddr).Port
		cfg := parseConfig(t, "postgres://u:p@127.0.0.1:"+strconv.Itoa(port)+"/d?sslmode="+tt.mode)
		_, err := New().OpenSource(t.Context(), cfg)
		wantKind(t, err, tt.want, "127.0.0.1")
	}
}
