package connectors

// Local is an end whose work is done in this process, on files of its own, while
// others mostly wait for a server: reading, writing and committing keep a processor
// busy and wait for nobody.
type Local interface {
	// Local does nothing.
	Local()
}
