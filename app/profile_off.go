//go:build !profile

package app

// Profile does nothing: only the build that is measured, with the tag profile, has a profiler.
func Profile() (stop func()) { return func() {} }
