package app

import "context"

func (env *environment) serveAs(ctx context.Context, o serveOptions) error { return env.serve(ctx, o) }
