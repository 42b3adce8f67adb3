package connectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

const hush = "hunter2-s3cr3t"

// shows says whether a text gives the secret away, in plain or in hex.
func shows(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, hush) || strings.Contains(text, fmt.Sprintf("%x", hush)) || strings.Contains(text, fmt.Sprintf("% x", hush))
}

func TestSecretIsNeverFormatted(t *testing.T) {
	t.Parallel()
	secret := Secret(hush)
	type holder struct{ Password Secret }
	values := map[string]any{
		"secret": secret, "pointer": &secret, "struct": holder{secret}, "pointer to struct": &holder{secret},
		"slice": []Secret{secret}, "map": map[string]Secret{"k": secret},
		"any":    []any{secret},
		"config": Config{Type: "postgresql", Host: "h", Port: 1, Password: secret},
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range "vTtbcdoOqxXUeEfFgGs" {
				for _, flags := range []string{"", "+", "#", "-20", " ", "0", ".3", "+#10.2"} {
					format := "%" + flags + string(verb)
					if got := fmt.Sprintf(format, value); shows(got) {
						t.Errorf("%s shows %s", format, got)
					}
				}
			}
			if got := fmt.Sprint(value) + fmt.Sprintln(value) + fmt.Errorf("x: %v", value).Error(); shows(got) {
				t.Errorf("Sprint, Sprintln or Errorf shows %s", got)
			}
			if data, err := json.Marshal(value); err == nil && shows(string(data)) {
				t.Errorf("JSON shows %s", data)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", value)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", value)
			if shows(log.String()) {
				t.Errorf("slog shows %s", log.String())
			}
			var page bytes.Buffer
			if err := template.Must(template.New("").Parse("{{.}}")).Execute(&page, value); err != nil || shows(page.String()) {
				t.Errorf("a template shows %s, %v", page.String(), err)
			}
		})
	}
}

func TestSecretReveal(t *testing.T) {
	t.Parallel()
	if got := Secret(hush).Reveal(); got != hush {
		t.Errorf("Reveal = %q", got)
	}
	for _, secret := range []Secret{"", hush} { // whether there is one is not told either
		text, err := secret.MarshalText()
		if err != nil || string(text) != redacted || secret.String() != redacted || secret.GoString() != redacted {
			t.Errorf("a secret is spelled %s, %s, %s, %v", text, secret.String(), secret.GoString(), err)
		}
	}
	if err := fmt.Errorf("open: %w", errors.New(Secret(hush).String())); shows(err.Error()) {
		t.Errorf("an error shows %v", err)
	}
}
