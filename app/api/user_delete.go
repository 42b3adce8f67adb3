package api

func userDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return message{"the account was removed"}, c.Control.DeleteUser(c.ctx, id)
}
