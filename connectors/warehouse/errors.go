package warehouse

import (
	"context"
	"errors"
	"io/fs"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// fail classifies what went wrong below SQLite or the file system; what is
// already an Error, or nobody's (an error of emit), stays as it is.
func fail(ctx context.Context, op, object string, err error) error {
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
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return fileError(op, object, err)
		}
		return err
	case lite.Constraint:
		out.Kind, out.Hint = connectors.KindConstraint, "check that the key columns tell every row apart"
	case lite.Busy, lite.Locked:
		out.Kind, out.Hint = connectors.KindConflict, "another program holds the table's file; end it and run again"
	case lite.NotADB, lite.Corrupt:
		out.Kind, out.Hint = connectors.KindType, "the table's file is damaged: restore it from a backup, or run a full refresh"
	case lite.Perm, lite.IsReadOnly, lite.CantOpen:
		out.Kind, out.Hint = connectors.KindPermission, "give the user that runs Arus the right to read and write the warehouse's directory"
	case lite.Full:
		out.Kind, out.Hint = connectors.KindUnsupported, "the disk is full: make room and run again"
	case lite.IOErr:
		out.Kind, out.Hint = connectors.KindTransient, "the disk could not be read or written"
	default:
		out.Kind = connectors.KindUnsupported
	}
	return out
}

// fileError classifies what the file system said.
func fileError(op, object string, err error) error {
	out := &connectors.Error{Kind: connectors.KindUnsupported, Op: op, Object: object, Err: err, Hint: "check the disk and the warehouse's directory"}
	switch {
	case errors.Is(err, fs.ErrPermission):
		out.Kind, out.Hint = connectors.KindPermission, "give the user that runs Arus the right to write there"
	case errors.Is(err, fs.ErrNotExist):
		out.Kind = connectors.KindNotFound
	}
	return out
}
