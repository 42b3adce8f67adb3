package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (env *environment) healthcheckCommand() *cobra.Command {
	var url string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the running server whether it can do its work",
		Long: `Ask the server on this machine whether it can do its work. The exit code is 0 when it can, 1 when it says
that it cannot, 3 when it does not answer. The address is that of --url, else the one that the server of
the data directory has noted there, else that of ` + envListen + `.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running := env.serverHere()
			if url != "" {
				running = runningServer{URL: strings.TrimRight(url, "/")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			answer, err := running.ready(ctx)
			if env.flags.json {
				out := map[string]any{"ready": err == nil, "answer": answer}
				if err != nil {
					out["error"] = err.Error()
				}
				err = errors.Join(writeJSON(env.Out, out), err)
			} else if err == nil {
				env.say("%s", answer)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "`address` of the server, such as https://arus.example.com")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for the answer")
	return cmd
}

// serverAddress is where the server of this machine listens, as a client takes it.
func (env *environment) serverAddress() string {
	address := env.Getenv(envListen)
	if address == "" {
		address = defaultListen
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// serverHere is the server of the data directory, or else the one that would be
// where it listens by default.
func (env *environment) serverHere() runningServer {
	if dir, err := env.dataDir(); err == nil {
		if r, err := findRunning(dir); err == nil {
			return r
		}
	}
	return runningServer{URL: "http://" + env.serverAddress()}
}

// ready asks a server whether it is ready; anything but 200 is an error.
func (r runningServer) ready(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/readyz", nil)
	if err != nil {
		return "", &usageError{err}
	}
	answer, err := r.client().Do(req)
	if err != nil {
		return "", &environmentError{fmt.Errorf("the server does not answer: %w", err)}
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return "", &environmentError{fmt.Errorf("the server does not answer: %w", err)}
	}
	said := strings.TrimSpace(string(text))
	if answer.StatusCode != http.StatusOK {
		return said, fmt.Errorf("the server is not ready: %s", said)
	}
	return said, nil
}
