package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// The codes of the error envelope.
const (
	codeAuth       = "AUTH_FAILED"
	codeForbidden  = "FORBIDDEN"
	codeLimited    = "RATE_LIMITED"
	codeNotFound   = "NOT_FOUND"
	codeInvalid    = "VALIDATION_ERROR"
	codeConflict   = "CONFLICT"
	codeConnection = "CONNECTION_FAILED"
	codeDiscovery  = "DISCOVERY_FAILED"
	codeTooLarge   = "TOO_LARGE"
	codeStopping   = "UNAVAILABLE"
	codeInternal   = "INTERNAL_ERROR"
)

// Error is what the error envelope holds.
type Error struct {
	Code    string             `json:"code"`
	Message string             `json:"message"`
	Fields  []model.FieldError `json:"fields,omitempty"`
	Hint    string             `json:"hint,omitempty"`
}

func writeError(w http.ResponseWriter, status int, e Error) {
	writeJSON(w, status, struct {
		Status string `json:"status"`
		Error  Error  `json:"error"`
	}{"error", e})
}

// fail sends an error. What nobody foresaw goes into the log; outside it is
// called a fault of the program and nothing more.
func (a *API) fail(w http.ResponseWriter, r *http.Request, rt route, err error) {
	status, e := Status(err)
	if status == http.StatusInternalServerError {
		a.Log.ErrorContext(r.Context(), "a request failed", "method", rt.method, "route", rt.path, "error", err)
	}
	if limit, ok := errors.AsType[*auth.LimitError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(limit.Seconds()))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="arus"`)
	}
	writeError(w, status, e)
}

// discoveryError marks an error of looking for tables, for its code.
type discoveryError struct{ error }

func (e discoveryError) Unwrap() error { return e.error }

// Status is the one place where errors become HTTP statuses, codes and words.
func Status(err error) (int, Error) {
	say := func(status int, code string) (int, Error) {
		return status, Error{Code: code, Message: err.Error()}
	}
	if forbidden, ok := errors.AsType[*auth.ForbiddenError](err); ok {
		return http.StatusForbidden, Error{Code: codeForbidden, Message: forbidden.Error()}
	}
	if limit, ok := errors.AsType[*auth.LimitError](err); ok {
		return http.StatusTooManyRequests, Error{Code: codeLimited, Message: limit.Error()}
	}
	if invalid, ok := errors.AsType[*control.InvalidError](err); ok {
		return http.StatusUnprocessableEntity, Error{Code: codeInvalid, Message: invalid.Error(), Fields: invalid.Faults}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return say(http.StatusRequestEntityTooLarge, codeTooLarge)
	}
	switch {
	case errors.Is(err, auth.ErrSignIn):
		return http.StatusUnauthorized, Error{Code: codeAuth, Message: auth.ErrSignIn.Error()}
	case errors.Is(err, auth.ErrCredentials):
		return say(http.StatusUnauthorized, codeAuth)
	case errors.Is(err, control.ErrNotFound):
		return http.StatusNotFound, Error{Code: codeNotFound, Message: "there is nothing of this id or name here"}
	case errors.Is(err, control.ErrRunActive), errors.Is(err, control.ErrRunState), errors.Is(err, control.ErrConflict),
		errors.Is(err, control.ErrInUse), errors.Is(err, control.ErrOwnAccount), errors.Is(err, control.ErrNoServer):
		return say(http.StatusConflict, codeConflict)
	case errors.Is(err, control.ErrInvalid):
		return say(http.StatusUnprocessableEntity, codeInvalid)
	case errors.Is(err, control.ErrStopping):
		return say(http.StatusServiceUnavailable, codeStopping)
	}
	if broken, ok := errors.AsType[*schema.Error](err); ok {
		switch broken.Class {
		case schema.NotFound:
			return say(http.StatusNotFound, codeNotFound)
		case schema.Conflict:
			return say(http.StatusConflict, codeConflict)
		case schema.Invalid:
			return say(http.StatusUnprocessableEntity, codeInvalid)
		}
	}
	if status, code, ok := connectorStatus(err); ok {
		e := Error{Code: code, Message: err.Error()}
		if c, ok := errors.AsType[*connectors.Error](err); ok {
			e.Hint = c.Hint
		}
		if _, ok := errors.AsType[discoveryError](err); ok && code == codeConnection {
			e.Code = codeDiscovery
		}
		return status, e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable, Error{Code: codeStopping, Message: "the request was given up before it was done"}
	}
	return http.StatusInternalServerError, Error{Code: codeInternal, Message: "a fault of the program; its log says more"}
}

// connectorStatus is what the databases at the ends said.
func connectorStatus(err error) (status int, code string, ok bool) {
	switch connectors.KindOf(err) {
	case connectors.KindInvalid, connectors.KindUnsupported:
		return http.StatusUnprocessableEntity, codeInvalid, true
	case connectors.KindNotFound:
		return http.StatusNotFound, codeNotFound, true
	case connectors.KindConflict:
		return http.StatusConflict, codeConflict, true
	case connectors.KindTimeout:
		if _, ours := errors.AsType[*connectors.Error](err); !ours {
			return 0, "", false
		}
		return http.StatusGatewayTimeout, codeConnection, true
	case connectors.KindAuth, connectors.KindNetwork, connectors.KindTLS, connectors.KindPermission, connectors.KindTransient,
		connectors.KindType, connectors.KindConstraint:
		return http.StatusBadGateway, codeConnection, true
	}
	return 0, "", false
}
