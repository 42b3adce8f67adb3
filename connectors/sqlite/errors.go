package sqlite

import (
	"context"
	"errors"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// fail classifies what SQLite says went wrong; what is already an Error, or not
// SQLite's (an error of emit), stays as it is.
func (s *Source) fail(ctx context.Context, op, object string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	out := &connectors.Error{Op: op, Object: object, Err: err}
	if cause := context.Cause(ctx); cause != nil {
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	switch lite.Code(err) {
	case 0:
		return err
	case lite.NotADB:
		out.Kind, out.Err, out.Hint = connectors.KindNotFound, errors.New("the file is not a SQLite database"), "check the path; an encrypted database cannot be read"
	case lite.Corrupt:
		out.Kind, out.Hint = connectors.KindType, "the file is damaged: restore it from a backup, or try sqlite3's .recover"
	case lite.Busy, lite.Locked:
		out.Kind, out.Hint = connectors.KindTransient, "another program holds the file locked"
	case lite.Perm, lite.Auth, lite.IsReadOnly, lite.CantOpen:
		out.Kind, out.Hint = connectors.KindPermission, "give the user that runs Arus the right to read the file and, for a database in WAL mode, to write its folder"
	case lite.IOErr:
		out.Kind, out.Hint = connectors.KindTransient, "the disk or the network folder of "+s.path+" could not be read"
	default:
		out.Kind = connectors.KindUnsupported
		if missing(err) {
			out.Kind, out.Hint = connectors.KindNotFound, "discover the tables again"
		}
	}
	return out
}
