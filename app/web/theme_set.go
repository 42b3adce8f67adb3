package web

import (
	"time"

	"arus/views/components"
)

// themeSet remembers in which colours the visitor wants the console.
func themeSet(v *visit) error {
	switch theme := v.value("theme"); theme {
	case "dark", "light":
		v.setCookie(themeCookie, theme, 365*24*time.Hour, true)
	default:
		v.setCookie(themeCookie, "", 0, true)
	}
	return v.redirect(v.value("next"), components.Flash{})
}
