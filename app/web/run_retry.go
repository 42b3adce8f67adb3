package web

// runRetry runs the tables of a run again that did not succeed.
func runRetry(v *visit) error {
	started, err := v.Control.RetryRun(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.done("/runs/"+started.RunID, "The failed tables are tried again.")
}
