package app

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
)

// globalFlags are understood by every command.
type globalFlags struct {
	data    string
	json    bool
	verbose bool
	quiet   bool
}

const envData = "ARUS_DATA"

func (env *environment) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&env.flags.data, "data", "", "data `directory` (default "+envData+", else the per-user data folder)")
	f.BoolVar(&env.flags.json, "json", false, "print the result as JSON on standard output")
	f.BoolVarP(&env.flags.verbose, "verbose", "v", false, "log every step to standard error")
	f.BoolVarP(&env.flags.quiet, "quiet", "q", false, "no progress on standard error")
}

// dataDir is where the state file, the key and the warehouse lie:
// flag > environment > the operating system's per-user data folder.
func (env *environment) dataDir() (string, error) {
	if env.flags.data != "" {
		return env.flags.data, nil
	}
	if dir := env.Getenv(envData); dir != "" {
		return dir, nil
	}
	switch runtime.GOOS {
	case "windows":
		if dir := env.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "Arus"), nil
		}
	case "darwin":
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, "Library", "Application Support", "Arus"), nil
		}
	default:
		if dir := env.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "arus"), nil
		}
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, ".local", "share", "arus"), nil
		}
	}
	return "", &environmentError{errors.New("no home directory to keep data in: give one with --data or " + envData)}
}
