package api

import (
	"encoding/json"
	"strings"
)

// settingsUpdate takes any of the settings; null takes one back to its default.
func settingsUpdate(c *call) (any, error) {
	var body map[string]any
	if err := c.decodeMap(&body); err != nil {
		return nil, err
	}
	set := map[string]string{}
	var unset []string
	for key, v := range body {
		switch v := v.(type) {
		case nil:
			unset = append(unset, key)
		case string:
			set[key] = v
		case json.Number, bool:
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			set[key] = strings.Trim(string(text), `"`)
		default:
			c.fault(key, "must be a text, a number or true or false")
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	if err := c.Control.ChangeSettings(c.ctx, set, unset); err != nil {
		return nil, err
	}
	return settingsGet(c)
}
