package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"arus/connectors"
)

// passwordFlags are the ways to give a password beside the URL.
type passwordFlags struct {
	stdin bool
	file  string
	ask   bool
}

func (p *passwordFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input")
	cmd.Flags().StringVar(&p.file, "password-file", "", "read the password from a `file`, each time it is needed")
	cmd.Flags().BoolVar(&p.ask, "ask-password", false, "ask for the password on the terminal")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "password-file", "ask-password")
}

// connection reads a URL and the password that belongs to it.
func (env *environment) connection(url string, p passwordFlags) (connectors.Config, error) {
	cfg, err := env.Registry.ParseURL(url)
	if err != nil {
		return cfg, err
	}
	switch {
	case p.file != "": // a reference: the file is read each time
		cfg.Password = connectors.Secret("${file:" + p.file + "}")
	case p.stdin || p.ask:
		cfg.Password, err = env.readPassword(p, passwordPrompt(cfg))
	}
	return cfg, err
}

// readPassword reads a password from where the flags say, now.
func (env *environment) readPassword(p passwordFlags, prompt string) (connectors.Secret, error) {
	in, from := env.In, "standard input"
	switch {
	case p.ask:
		return env.promptPassword(prompt)
	case p.file != "":
		f, err := os.Open(p.file)
		if err != nil {
			return "", &environmentError{fmt.Errorf("read the password: %w", err)}
		}
		defer func() { _ = f.Close() }()
		in, from = f, p.file
	}
	text, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", &environmentError{fmt.Errorf("read the password from %s: %w", from, err)}
	}
	return connectors.Secret(strings.TrimRight(text, "\r\n")), nil
}

func passwordPrompt(cfg connectors.Config) string {
	return fmt.Sprintf("password of %s at %s: ", cfg.Username, cfg.Address())
}

// askPassword asks for the password of a connection.
func (env *environment) askPassword(cfg connectors.Config) (connectors.Secret, error) {
	return env.promptPassword(passwordPrompt(cfg))
}

// promptPassword reads a password from the terminal without showing it.
func (env *environment) promptPassword(prompt string) (connectors.Secret, error) {
	in, ok := env.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", &usageError{errors.New("there is no terminal to ask for the password on: use --password-stdin, --password-file or ${env:NAME} in the URL")}
	}
	_, _ = fmt.Fprint(env.Err, prompt)
	text, err := term.ReadPassword(int(in.Fd()))
	_, _ = fmt.Fprintln(env.Err)
	if err != nil {
		return "", &environmentError{fmt.Errorf("read the password: %w", err)}
	}
	return connectors.Secret(text), nil
}

// mayAsk says whether a refused login without a password can be mended by asking.
func (env *environment) mayAsk(cfg connectors.Config, err error) bool {
	return connectors.KindOf(err) == connectors.KindAuth && cfg.Password == "" && cfg.Host != "" && isTerminal(env.In) && isTerminal(env.Err)
}
