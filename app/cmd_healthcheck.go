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
that it cannot, 3 when it does not answer. The address is that of --url, else of ` + envListen + `.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				url = "http://" + env.serverAddress()
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			answer, err := getReady(ctx, strings.TrimRight(url, "/")+"/readyz")
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
	cmd.Flags().StringVar(&url, "url", "", "`address` of the server (default "+envListen+", else "+defaultListen+")")
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

// getReady gets one page; anything but 200 is an error.
func getReady(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", &usageError{err}
	}
	// No proxy: the server is on this machine or has been named.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
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
