package web

import (
	"errors"
	"html/template"
	"net/http"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/connectors"
)

// setupView is the setup page before it is drawn.
type setupView struct {
	Token, Email, Name, Error string
	Done                      bool
}

// setupTemplate needs no script and no style sheet: it is there before anything else.
func setupTemplate() *template.Template {
	return template.Must(template.New("setup").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Set up Arus</title></head>
<body><main><h1>Set up Arus</h1>
{{if .Done}}<p role="status">The account {{.Email}} is there. Sign in with it.</p><p><a href="/">Go on</a></p>{{else}}
<p>Make the account of the first admin.</p>
{{if .Error}}<p role="alert">{{.Error}}</p>{{end}}
<form method="post" action="/setup">
<input type="hidden" name="token" value="{{.Token}}">
<p><label>E-mail <input name="email" type="email" required autocomplete="username" value="{{.Email}}"></label></p>
<p><label>Name <input name="name" required autocomplete="name" value="{{.Name}}"></label></p>
<p><label>Password, at least 10 characters <input name="password" type="password" required minlength="10" autocomplete="new-password"></label></p>
<p><button>Make the account</button></p>
</form>{{end}}</main></body></html>
`))
}

// gone says whether there is nothing to set up any more.
func (s *Server) gone(w http.ResponseWriter, r *http.Request) bool {
	needed, err := s.Control.NeedsSetup(r.Context())
	if err != nil || !needed || !s.Control.Setup.Open() {
		http.NotFound(w, r)
		return true
	}
	return false
}

func (s *Server) setupPage(w http.ResponseWriter, r *http.Request) {
	if !s.gone(w, r) {
		s.drawSetup(w, r, http.StatusOK, setupView{Token: r.URL.Query().Get("token")})
	}
}

func (s *Server) setupForm(w http.ResponseWriter, r *http.Request) {
	if s.gone(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	view := setupView{Token: r.PostFormValue("token"), Email: r.PostFormValue("email"), Name: r.PostFormValue("name")}
	_, err := s.Control.SetUp(r.Context(), connectors.Secret(view.Token), control.UserInput{
		Email: view.Email, Name: view.Name, Password: connectors.Secret(r.PostFormValue("password")),
	})
	if err == nil {
		view.Done = true
		s.drawSetup(w, r, http.StatusOK, view)
		return
	}
	status, said := api.Status(err)
	view.Error = said.Message
	if errors.Is(err, auth.ErrSignIn) {
		view.Error = "This setup link is not, or no longer, valid. Use the one that Arus printed at its last start."
	}
	s.drawSetup(w, r, status, view)
}

func (s *Server) drawSetup(w http.ResponseWriter, r *http.Request, status int, view setupView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := setupTemplate().Execute(w, view); err != nil {
		s.Log.DebugContext(r.Context(), "draw the setup page", "error", err)
	}
}
