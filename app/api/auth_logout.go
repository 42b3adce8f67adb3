package api

func authLogout(c *call) (any, error) {
	return message{"signed out"}, c.Control.SignOut(c.ctx)
}
