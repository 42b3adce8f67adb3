package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"arus/app/api"
	"arus/app/auth"
	"arus/views/components"
	"arus/views/pages"
)

// fail is the one place where errors become pages.
func (v *visit) fail(err error) {
	status, said := api.Status(err)
	if errors.Is(err, errNoPage) {
		status, said = http.StatusNotFound, api.Error{Code: "NOT_FOUND", Message: "There is nothing at " + v.r.URL.Path + "."}
	}
	if status == http.StatusUnauthorized {
		to := v.signInAddress(v.ctx, v.r)
		if v.partial() {
			v.w.Header().Set("Hx-Redirect", to)
			v.w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Redirect(v.w, v.r, to, http.StatusSeeOther)
		return
	}
	if status == http.StatusInternalServerError {
		v.Log.ErrorContext(v.ctx, "a page failed", "method", v.r.Method, "path", v.r.URL.Path, "error", err)
	}
	if limit, ok := errors.AsType[*auth.LimitError](err); ok {
		v.w.Header().Set("Retry-After", strconv.Itoa(limit.Seconds()))
	}
	f := v.failure(status, said)
	if err := v.showAs(status, page{title: f.Title, icon: "bad"}, pages.Failure(f)); err != nil {
		v.Log.ErrorContext(v.ctx, "draw the error page", "error", err)
		plain(v.w, http.StatusInternalServerError, "a fault of the program; its log says more")
	}
}

// failure is an error in the words of the console.
func (v *visit) failure(status int, said api.Error) components.Failure {
	f := components.Failure{Message: said.Message, Hint: said.Hint, Code: said.Code}
	switch status {
	case http.StatusNotFound:
		f.Title = "Not found"
		f.Hint = "It may have been deleted or renamed. Look for it with the search above."
	case http.StatusForbidden:
		f.Title = "Not allowed"
		f.Hint = "Ask an admin for the role."
	case http.StatusUnprocessableEntity:
		f.Title = "This request cannot be taken"
	case http.StatusConflict:
		f.Title = "Not possible now"
	case http.StatusTooManyRequests:
		f.Title = "Too many attempts"
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		f.Title = "The database did not answer as it should"
	case http.StatusServiceUnavailable:
		f.Title = "Stopping"
	default:
		f.Title = "A fault of the program"
		f.Hint = "Try again. When it happens again, report it with the details below; the log of the program says more."
	}
	f.Details = fmt.Sprintf("Arus %s\n%s %s\nstatus %d %s\n%s\n%s", v.Version, v.r.Method, v.r.URL.Path, status, said.Code, said.Message, v.Now().UTC().Format(time.RFC3339))
	f.Actions = append(f.Actions, components.Link{Label: "Dashboard", Href: "/"})
	return f
}
