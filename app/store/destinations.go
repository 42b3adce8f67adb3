package store

import (
	"context"
	"fmt"
	"strings"

	"arus/app/model"
)

const destinationColumns = `id, name, type, host, port, database, username, password_enc, ssl, raw_schema, target_schema,
	is_default, status, last_tested, last_error, options, created_at, updated_at`

func scanDestination(row scanner) (model.Destination, error) {
	var d model.Destination
	err := row.Scan(&d.ID, &d.Name, &d.Type, null(&d.Host, ""), null(&d.Port, 0), null(&d.Database, ""), null(&d.Username, ""),
		null(&d.PasswordEnc, ""), null(&d.SSL, false), null(&d.RawSchema, model.DefaultRawSchema),
		null(&d.TargetSchema, model.DefaultTargetSchema), null(&d.IsDefault, false), null(&d.Status, model.ConnectionRegistered),
		timeScanner{&d.LastTested}, null(&d.LastError, ""), jsonScanner{&d.Options}, timeScanner{&d.CreatedAt}, timeScanner{&d.UpdatedAt})
	return d, err
}

// CreateDestination adds the destination and fills its id, times and unset defaults. A new default takes over from the old
// one. ErrConflict: the name is taken.
func (s *Store) CreateDestination(ctx context.Context, dst *model.Destination) error {
	row := *dst
	row.SetDefaults()
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "create destination %q", row.Name)
	}
	err = s.write(ctx, func(tx *transaction) error {
		if err := yieldDefault(ctx, tx, row); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_config_destinations (`+destinationColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.ID, row.Name, row.Type, orNull(row.Host), orNull(row.Port), orNull(row.Database), orNull(row.Username),
			orNull(row.PasswordEnc), row.SSL, row.RawSchema, row.TargetSchema, row.IsDefault, row.Status, stamp(row.LastTested),
			orNull(row.LastError), options, stamp(row.CreatedAt), stamp(row.UpdatedAt))
		return err
	})
	if err != nil {
		return fail(err, "create destination %q", row.Name)
	}
	*dst = row
	return nil
}

// UpdateDestination replaces every field of the destination but its id and creation time. A new default takes over from
// the old one. ErrNotFound, ErrConflict.
func (s *Store) UpdateDestination(ctx context.Context, dst *model.Destination) error {
	row := *dst
	row.SetDefaults()
	row.UpdatedAt = s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "update destination %q", row.Name)
	}
	err = s.write(ctx, func(tx *transaction) error {
		if err := yieldDefault(ctx, tx, row); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `UPDATE arus_config_destinations SET name = ?, type = ?, host = ?, port = ?, database = ?,
			username = ?, password_enc = ?, ssl = ?, raw_schema = ?, target_schema = ?, is_default = ?, status = ?, last_tested = ?,
			last_error = ?, options = ?, updated_at = ? WHERE id = ? RETURNING created_at`,
			row.Name, row.Type, orNull(row.Host), orNull(row.Port), orNull(row.Database), orNull(row.Username),
			orNull(row.PasswordEnc), row.SSL, row.RawSchema, row.TargetSchema, row.IsDefault, row.Status, stamp(row.LastTested),
			orNull(row.LastError), options, stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt})
	})
	if err != nil {
		return fail(err, "update destination %q", row.Name)
	}
	*dst = row
	return nil
}

// yieldDefault makes room for the one default there can be.
func yieldDefault(ctx context.Context, tx *transaction, d model.Destination) error {
	if !d.IsDefault {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE arus_config_destinations SET is_default = 0 WHERE is_default = 1 AND id <> ?`, d.ID)
	return err
}

// SetDestinationStatus records a connection test made now. message is why it failed, or empty.
func (s *Store) SetDestinationStatus(ctx context.Context, id string, status model.ConnectionStatus, message string) error {
	return fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_config_destinations SET status = ?, last_error = ?, last_tested = ? WHERE id = ?`,
		status, orNull(message), stamp(s.now()), id)), "record the test of destination %s", id)
}

// GetDestination returns the destination with the id.
func (s *Store) GetDestination(ctx context.Context, id string) (model.Destination, error) {
	d, err := scanDestination(s.reader.QueryRowContext(ctx, `SELECT `+destinationColumns+` FROM arus_config_destinations WHERE id = ?`, id))
	return d, fail(err, "get destination %s", id)
}

// FindDestination returns the destination with that id or else that name.
func (s *Store) FindDestination(ctx context.Context, idOrName string) (model.Destination, error) {
	d, err := scanDestination(s.reader.QueryRowContext(ctx, `SELECT `+destinationColumns+` FROM arus_config_destinations
		WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1`, idOrName))
	return d, fail(err, "find destination %q", idOrName)
}

// DefaultDestination returns the default destination, ErrNotFound when none is set.
func (s *Store) DefaultDestination(ctx context.Context) (model.Destination, error) {
	d, err := scanDestination(s.reader.QueryRowContext(ctx, `SELECT `+destinationColumns+` FROM arus_config_destinations WHERE is_default = 1`))
	return d, fail(err, "get the default destination")
}

// ListDestinations returns one page of the destinations by name, and how many there are.
func (s *Store) ListDestinations(ctx context.Context, page Page) ([]model.Destination, int, error) {
	return s.FilterDestinations(ctx, EndFilter{Page: page})
}

// FilterDestinations returns one page of the destinations that a filter lets through, by name, and how many these are.
func (s *Store) FilterDestinations(ctx context.Context, f EndFilter) (list []model.Destination, total int, err error) {
	limit, offset := f.args()
	const from = ` FROM arus_config_destinations` + endWhere
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+from, f.Name, f.Type, f.Status).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanDestination, `SELECT `+destinationColumns+from+` ORDER BY name, id LIMIT ?4 OFFSET ?5`, f.Name, f.Type, f.Status, limit, offset)
		return err
	})
	return list, total, fail(err, "list destinations")
}

// DeleteDestination removes a destination that no pipeline loads into. ErrInUse says which pipelines do.
func (s *Store) DeleteDestination(ctx context.Context, id string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		names, err := collect(ctx, tx, func(row scanner) (name string, err error) {
			err = row.Scan(&name)
			return name, err
		},
			`SELECT '"' || name || '"' FROM arus_config_pipelines WHERE destination_id = ? ORDER BY name LIMIT 10`, id)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			return fmt.Errorf("%w by the pipelines %s", ErrInUse, strings.Join(names, ", "))
		}
		return changed(tx.ExecContext(ctx, `DELETE FROM arus_config_destinations WHERE id = ?`, id))
	}), "delete destination %s", id)
}
