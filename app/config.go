package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"arus/app/model"
)

// globalFlags are understood by every command.
type globalFlags struct {
	data      string
	json      bool
	verbose   bool
	quiet     bool
	logFormat string
}

const (
	envData      = "ARUS_DATA"
	envLogFormat = "ARUS_LOG_FORMAT"
	logText      = "text"
	logJSON      = "json"
)

func (env *environment) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&env.flags.data, "data", "", "data `directory` (default "+envData+", else the per-user data folder)")
	f.BoolVar(&env.flags.json, "json", false, "print the result as JSON on standard output")
	f.BoolVarP(&env.flags.verbose, "verbose", "v", false, "log every step to standard error")
	format := env.Getenv(envLogFormat)
	if format == "" {
		format = logText
	}
	f.StringVar(&env.flags.logFormat, "log-format", format, "text or json, for what is logged on standard error (default "+envLogFormat+", else text)")
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

// settingsFile may set runtime settings, in the data directory.
const settingsFile = "arus.yaml"

// overrides are the runtime settings that flags, the environment and the
// settings file of the data directory give, the strongest first. All their
// faults are one error.
func (env *environment) overrides(dir string) ([]model.SettingLayer, error) {
	variables := map[string]string{}
	for _, s := range model.SettingList() {
		if v := env.Getenv(s.Env()); v != "" {
			variables[s.Key] = v
		}
	}
	file, err := readSettingsFile(filepath.Join(dir, settingsFile))
	if err != nil {
		return nil, &usageError{err}
	}
	layers := []model.SettingLayer{
		{Origin: model.OriginFlag, Values: env.set}, {Origin: model.OriginEnv, Values: variables}, {Origin: model.OriginFile, Values: file},
	}
	var errs []error
	for _, layer := range layers { // each by itself, so that a fault that another layer hides is found too
		_, _, faults := model.ResolveSettings(layer)
		for _, f := range faults {
			errs = append(errs, f)
		}
	}
	if len(errs) > 0 {
		return nil, &usageError{errors.Join(errs...)}
	}
	return layers, nil
}

// readSettingsFile reads "key: value" lines; no file is no setting.
func readSettingsFile(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the settings file: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("read the settings file %s: %w", file, err)
	}
	settings := make(map[string]string, len(values))
	for key, value := range values {
		settings[key] = fmt.Sprint(value)
	}
	return settings, nil
}
