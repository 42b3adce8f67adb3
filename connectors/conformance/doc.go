// Package conformance is one suite that every connector passes against the real server. A connector's conformance_test.go
// tells the suite how to open a database of the test's own and calls [Run]; what a connector cannot do it names with a
// reason in [Harness.Skip], and the suite skips that aloud.
//
// The package also turns canonical text into Arrow batches and back, for tests elsewhere.
package conformance
