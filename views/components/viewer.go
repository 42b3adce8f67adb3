// Package components is what pages are put together from. Components know
// nothing of the program: they draw plain values.
package components

import (
	"context"
	"time"
)

// Viewer is who looks at a page, and how: it travels in the context that a page
// is drawn with.
type Viewer struct {
	Now   time.Time
	Zone  *time.Location           // nil: UTC
	Asset func(name string) string // address of a file under /static
	Can   func(permission string) bool
}

type viewerKey struct{}

// WithViewer puts the viewer into a context.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// ViewerOf takes the viewer out of a context; without one it is somebody in UTC
// who may do nothing.
func ViewerOf(ctx context.Context) Viewer {
	v, _ := ctx.Value(viewerKey{}).(Viewer)
	if v.Zone == nil {
		v.Zone = time.UTC
	}
	if v.Asset == nil {
		v.Asset = func(name string) string { return "/static/" + name }
	}
	if v.Can == nil {
		v.Can = func(string) bool { return false }
	}
	return v
}

// Can says whether the viewer has a permission, by its name in the permission
// table: what somebody may not do is not offered.
func Can(ctx context.Context, permission string) bool { return ViewerOf(ctx).Can(permission) }

// Asset is the address of a file under /static, with its hash.
func Asset(ctx context.Context, name string) string { return ViewerOf(ctx).Asset(name) }
