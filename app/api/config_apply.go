package api

import "arus/app/control"

// configFile reads the body, which is YAML or JSON.
func configFile(c *call) (f control.DeclarationFile, prune bool, err error) {
	prune = c.flag("prune")
	if err := c.err(); err != nil {
		return f, prune, err
	}
	f, err = control.ReadDeclaration(c.r.Body)
	return f, prune, err
}

// configPlan says what applying a file would change.
func configPlan(c *call) (any, error) {
	f, prune, err := configFile(c)
	if err != nil {
		return nil, err
	}
	return c.Control.PlanDeclaration(c.ctx, f, prune)
}

// configApply makes the configuration what a file says, all of it or nothing.
func configApply(c *call) (any, error) {
	f, prune, err := configFile(c)
	if err != nil {
		return nil, err
	}
	return c.Control.ApplyDeclaration(c.ctx, f, prune)
}
