// Package servers starts private database servers for tests and gives tests their addresses.
//
// The command in cmd starts one server of each kind on a free loopback port, in a temporary directory, runs another
// command with the addresses in its environment, and stops exactly what it started:
//
//	go run arus/testdata/servers/cmd -- go test ./...
//
// A browser for tests of pages is installed like the servers; tests start it themselves, see [Chromium].
//
// A test asks for an address with [Postgres], [MariaDB], [MariaDBNoLocal], [ClickHouse] or [MongoDB], or for an empty
// database of its own with [PostgresDatabase], [MariaDBDatabase] or [MongoDBDatabase]. Without the command the test is skipped and says why; with
// CI=true it fails instead, so that continuous integration cannot pass by skipping. To test against a server of your
// own, set its variable yourself (it needs a superuser): the command then leaves that kind alone.
package servers
