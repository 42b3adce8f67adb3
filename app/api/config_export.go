package api

import (
	"net/http"
	"strings"

	"arus/app/control"
)

// configExport gives the configuration as the file that 'arus apply' takes.
func configExport(c *call) (any, error) {
	config, err := c.Control.Export(c.ctx)
	if err != nil {
		return nil, err
	}
	if c.param("format") != "yaml" && !strings.Contains(c.r.Header.Get("Accept"), "yaml") {
		return config, nil
	}
	text, err := config.YAML()
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	c.w.Header().Set("Content-Disposition", `attachment; filename="arus.config.yaml"`)
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(text)
	return written{}, nil
}

// configSchema is the JSON Schema of that file, for editors.
func configSchema(c *call) (any, error) {
	text, err := control.DeclarationSchema()
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", "application/schema+json")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(text)
	return written{}, nil
}
