package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"regexp"

	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

const diskFull = "the server's disk or tablespace is full: make room there"

// remedies says what kind of failure a server's error number is and what to do.
var remedies = map[uint16]struct {
	kind connectors.ErrorKind
	hint string
}{
	1045: {connectors.KindAuth, "check user name and password, and that the account may connect from this host"},
	1698: {connectors.KindAuth, "this account cannot log in with a password: choose another or change its authentication plugin"},
	1251: {connectors.KindAuth, "the account's authentication plugin is too old"},
	1130: {connectors.KindAuth, "allow this host: CREATE USER 'user'@'host'"},
	1820: {connectors.KindAuth, "the password has expired: set a new one"},
	1862: {connectors.KindAuth, "the password has expired: set a new one"},
	3118: {connectors.KindAuth, "the account is locked: ALTER USER ... ACCOUNT UNLOCK"},
	4151: {connectors.KindAuth, "the account is locked: ALTER USER ... ACCOUNT UNLOCK"},

	1044: {connectors.KindPermission, ""},
	1142: {connectors.KindPermission, ""},
	1143: {connectors.KindPermission, ""},
	1227: {connectors.KindPermission, ""},
	1370: {connectors.KindPermission, ""},
	1290: {connectors.KindPermission, "the server is read-only: use the primary server"},
	1792: {connectors.KindPermission, "the transaction is read-only"},

	1049: {connectors.KindNotFound, "check the database's name"},
	1146: {connectors.KindNotFound, "check that the table still exists"},
	1051: {connectors.KindNotFound, "check that the table still exists"},
	1054: {connectors.KindNotFound, "the table's columns have changed: discover them again"},

	1205: {connectors.KindTransient, "another session holds a lock on the table"},
	1213: {connectors.KindTransient, "two transactions waited for each other"},
	2006: {connectors.KindTransient, "the server closed the connection"},
	2013: {connectors.KindTransient, "the connection was lost during the query"},
	1040: {connectors.KindTransient, "the server has no connection left: raise max_connections"},
	1203: {connectors.KindTransient, "the account has no connection left: raise max_user_connections"},
	1226: {connectors.KindTransient, "the account has used up a resource limit"},
	1053: {connectors.KindTransient, "the server is shutting down"},
	1927: {connectors.KindTransient, "the connection was killed"},
	1077: {connectors.KindTransient, "the server is shutting down"},
	1020: {connectors.KindTransient, "another session changed the row meanwhile"},
	1412: {connectors.KindTransient, "another session changed the table meanwhile"},
	1615: {connectors.KindTransient, "another session changed the table meanwhile"},
	1296: {connectors.KindTransient, ""},
	1297: {connectors.KindTransient, ""},
	1184: {connectors.KindTransient, "the server gave the connection up"},
	4031: {connectors.KindTransient, "the server closed the idle connection"},
	20:   {connectors.KindTransient, diskFull},
	1021: {connectors.KindTransient, diskFull},
	1114: {connectors.KindTransient, diskFull},
	1206: {connectors.KindTransient, "the transaction holds too many locks"},
	3572: {connectors.KindTransient, "another session holds a lock on the table"},
	1180: {connectors.KindTransient, ""},
	1637: {connectors.KindTransient, ""},

	1129: {connectors.KindPermission, "the server refuses this host after too many broken connections: mysqladmin flush-hosts"},
	1152: {connectors.KindNetwork, ""},
	1158: {connectors.KindNetwork, ""},
	1159: {connectors.KindNetwork, ""},
	1160: {connectors.KindNetwork, ""},
	1161: {connectors.KindNetwork, ""},

	1317: {connectors.KindTimeout, "the query was stopped on the server"},
	3024: {connectors.KindTimeout, "raise max_execution_time"},
	1969: {connectors.KindTimeout, "raise max_statement_time"},

	1264: {connectors.KindType, "the value does not fit the column's type"},
	1265: {connectors.KindType, "the value does not fit the column's type"},
	1292: {connectors.KindType, "the value does not fit the column's type"},
	1366: {connectors.KindType, "the value does not fit the column's type"},
	1367: {connectors.KindType, "the value does not fit the column's type"},
	1406: {connectors.KindType, "the value is longer than the column"},
	1416: {connectors.KindType, "the value is no geometry"},
	1441: {connectors.KindType, "the value does not fit the column's type"},
	1411: {connectors.KindType, "the value does not fit the column's type"},
	1301: {connectors.KindType, "raise max_allowed_packet on the server"},
	1153: {connectors.KindType, "raise max_allowed_packet on the server"},
	1690: {connectors.KindType, "the value does not fit the column's type"},
	3140: {connectors.KindType, "the value is not JSON"},
	3141: {connectors.KindType, "the value is not JSON"},
	3144: {connectors.KindType, "the value is not JSON"},
	4038: {connectors.KindType, "the value is not JSON"},
	1118: {connectors.KindType, "the columns together are too wide for one row"},
	1074: {connectors.KindType, "the column is too long for its type"},
	1071: {connectors.KindType, "the key is longer than the server permits: choose a shorter key"},
	1067: {connectors.KindType, ""},

	1062: {connectors.KindConstraint, "two rows have the same key"},
	1048: {connectors.KindConstraint, "the column does not take NULL"},
	1263: {connectors.KindConstraint, "the column does not take NULL"},
	1364: {connectors.KindConstraint, "the target requires a column that the load does not have"},
	1138: {connectors.KindConstraint, "the column does not take NULL"},
	1169: {connectors.KindConstraint, "two rows have the same key"},
	1586: {connectors.KindConstraint, "two rows have the same key"},
	1859: {connectors.KindConstraint, "two rows have the same key"},
	1526: {connectors.KindConstraint, "the target has no partition for the row"},
	1216: {connectors.KindConstraint, "a foreign key of the target refuses the row"},
	1217: {connectors.KindConstraint, "a foreign key refers to the row"},
	1452: {connectors.KindConstraint, "a foreign key of the target refuses the row"},
	1451: {connectors.KindConstraint, "a foreign key refers to the row"},
	3819: {connectors.KindConstraint, "a CHECK constraint of the target refuses the row"},
	4025: {connectors.KindConstraint, "a CHECK constraint of the target refuses the row"},
	1060: {connectors.KindConstraint, "names that differ only by case are one column here: rename one"},
	1068: {connectors.KindConstraint, ""},
	1059: {connectors.KindInvalid, "names have at most 64 characters"},
	1166: {connectors.KindInvalid, "a column's name must not be empty nor end in a space"},
	1103: {connectors.KindInvalid, "a table's name must not be empty nor end in a space"},
	1102: {connectors.KindInvalid, "a database's name must not be empty nor end in a space"},
	1197: {connectors.KindUnsupported, "the change is larger than the server's binary log takes: raise max_binlog_cache_size"},
	1117: {connectors.KindUnsupported, "the table has more columns than the server permits"},
	3750: {connectors.KindConstraint, "the server wants a primary key on every table: choose a key for this one"},

	3948: {connectors.KindPermission, "SET GLOBAL local_infile = 1, or leave it off: rows are then inserted more slowly"},
	1148: {connectors.KindPermission, "SET GLOBAL local_infile = 1, or leave it off: rows are then inserted more slowly"},
	4166: {connectors.KindPermission, "SET GLOBAL local_infile = 1, or leave it off: rows are then inserted more slowly"},
}

// fail says of an error what was attempted, on what, and what to do. An error
// that says so already stays as it is.
func (s *server) fail(op, object string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	kind, hint := s.classify(err)
	return &connectors.Error{Kind: kind, Op: op, Object: object, Hint: hint, Err: err}
}

func (s *server) classify(err error) (connectors.ErrorKind, string) {
	if errors.Is(err, context.Canceled) {
		return "", ""
	}
	if e, ok := errors.AsType[*driver.MySQLError](err); ok {
		r := remedies[e.Number]
		switch {
		case r.kind == "" && noSpace.MatchString(e.Message): // under many numbers, as the place is where it was noticed
			return connectors.KindTransient, diskFull
		case r.kind == connectors.KindPermission && r.hint == "":
			return r.kind, s.grantHint(e)
		case e.Number == 1044:
			return r.kind, s.grantHint(e)
		}
		return r.kind, r.hint
	}
	if isTLS(err) {
		return connectors.KindTLS, "check the option ssl-mode and the server's certificate (ssl-ca names the authority's file)"
	}
	for _, auth := range []error{driver.ErrCleartextPassword, driver.ErrNativePassword, driver.ErrOldPassword, driver.ErrUnknownPlugin} {
		if errors.Is(err, auth) {
			return connectors.KindAuth, "give the account another authentication plugin, such as caching_sha2_password"
		}
	}
	if kind := connectors.NetworkKind(err); kind != "" {
		return kind, connectors.ConnectHint(err)
	}
	for _, lost := range []error{driver.ErrInvalidConn, sqldriver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, driver.ErrMalformPkt, driver.ErrPktSync, driver.ErrPktSyncMul, errProtocol} {
		if errors.Is(err, lost) {
			return connectors.KindNetwork, "the server or the network closed the connection"
		}
	}
	return "", ""
}

func isTLS(err error) bool {
	return errors.Is(err, driver.ErrNoTLS) || connectors.IsTLSError(err)
}

var (
	account = regexp.MustCompile(`'[^']*'@'[^']*'`)
	object  = regexp.MustCompile("for table [`']?([^`'\\s]+)[`']?(?:\\.[`']?([^`'\\s]+)[`']?)?")
	schema  = regexp.MustCompile(`to database '([^']*)'`)
	noSpace = regexp.MustCompile(`(?i)no space left on device|disk quota exceeded|errcode: (28|122)\b|error:? (28|122)\b`)
)

// grantHint is the statement that gives the account what it lacks.
func (s *server) grantHint(e *driver.MySQLError) string {
	who := account.FindString(e.Message)
	if who == "" {
		who = literal(s.cfg.Username) + "@'%'"
	}
	on := "*"
	switch m := object.FindStringSubmatch(e.Message); {
	case m != nil && m[2] != "":
		on = m[1]
	case s.cfg.Database != "":
		on = s.cfg.Database
	}
	if m := schema.FindStringSubmatch(e.Message); m != nil {
		on = m[1]
	}
	if on != "*" {
		on = ident(on)
	}
	privileges := "SELECT, SHOW VIEW"
	if s.mode == writeMode {
		privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE TEMPORARY TABLES"
	}
	return fmt.Sprintf("GRANT %s ON %s.* TO %s", privileges, on, who)
}

// typeError is a value or column that a type cannot hold.
func typeError(op, object, hint, format string, args ...any) error {
	return &connectors.Error{Kind: connectors.KindType, Op: op, Object: object, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// isNumber1205 says whether the server gave up waiting for a lock.
func isNumber1205(err error) bool {
	e, ok := errors.AsType[*driver.MySQLError](err)
	return ok && e.Number == 1205
}
