package servers

// Each kind of server has a variable PREFIX_URL with its address or, when it could not be started, PREFIX_WHY with the
// reason.
const (
	envPostgres       = "ARUS_TEST_POSTGRES"
	envMariaDB        = "ARUS_TEST_MARIADB"
	envMariaDBNoLocal = "ARUS_TEST_MARIADB_NOLOCAL"
	envClickHouse     = "ARUS_TEST_CLICKHOUSE"
	envMongoDB        = "ARUS_TEST_MONGODB"
	envChromium       = "ARUS_TEST_CHROMIUM" // its _URL is a path
)

// The account that the started PostgreSQL and MariaDB servers have; it may do everything.
const (
	testUser     = "arus"
	testPassword = "arus-test"
)
