package store

import (
	"context"

	"arus/app/model"
)

// What is kept of each person's queries, and of each table's jobs.
const (
	keptQueries   = 200
	keptTableJobs = 200
)

func scanQuery(row scanner) (model.QueryEntry, error) {
	var e model.QueryEntry
	err := row.Scan(&e.ID, &e.UserID, timeScanner{&e.At}, &e.SQL, &e.DurationMS, &e.Rows, null(&e.Error, ""))
	return e, err
}

// AppendQuery adds an entry to its user's history, of which the newest are kept. The same query again takes the place of the last one.
func (s *Store) AppendQuery(ctx context.Context, e model.QueryEntry) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM arus_config_query_history WHERE user_id = ?1 AND sql = ?2
			AND id = (SELECT max(id) FROM arus_config_query_history WHERE user_id = ?1)`, e.UserID, e.SQL); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO arus_config_query_history (user_id, at, sql, duration_ms, rows, error) VALUES (?, ?, ?, ?, ?, ?)`,
			e.UserID, stamp(s.now()), e.SQL, e.DurationMS, e.Rows, orNull(e.Error)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM arus_config_query_history WHERE user_id = ?1 AND id <=
			(SELECT id FROM arus_config_query_history WHERE user_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, e.UserID, keptQueries)
		return err
	}), "remember a query")
}

// ListQueries returns one page of a user's queries, the newest first, and how many there are.
func (s *Store) ListQueries(ctx context.Context, userID string, page Page) (list []model.QueryEntry, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_query_history WHERE user_id = ?`, userID).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanQuery, `SELECT id, user_id, at, sql, duration_ms, rows, error FROM arus_config_query_history
			WHERE user_id = ? ORDER BY id DESC LIMIT ? OFFSET ?`, userID, limit, offset)
		return err
	})
	return list, total, fail(err, "list the queries of user %s", userID)
}

// GetQuery returns one of a user's queries.
func (s *Store) GetQuery(ctx context.Context, userID string, id int64) (model.QueryEntry, error) {
	e, err := scanQuery(s.reader.QueryRowContext(ctx, `SELECT id, user_id, at, sql, duration_ms, rows, error FROM arus_config_query_history
		WHERE user_id = ? AND id = ?`, userID, id))
	return e, fail(err, "get query %d", id)
}

// ClearQueries forgets a user's queries.
func (s *Store) ClearQueries(ctx context.Context, userID string) error {
	_, err := s.writer.ExecContext(ctx, `DELETE FROM arus_config_query_history WHERE user_id = ?`, userID)
	return fail(err, "forget the queries of user %s", userID)
}

func scanTableJob(row scanner) (model.TableJob, error) {
	var j model.TableJob
	err := row.Scan(&j.ID, &j.Table, &j.Job, timeScanner{&j.At}, &j.Actor, &j.Rows, &j.Files, null(&j.Detail, ""), null(&j.Error, ""))
	return j, err
}

// AppendTableJob adds a line to the log of a table's jobs, of which the newest are kept.
func (s *Store) AppendTableJob(ctx context.Context, j model.TableJob) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO arus_run_logs_table_jobs (table_name, job, at, actor, rows, files, detail, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			j.Table, j.Job, stamp(s.now()), j.Actor, j.Rows, j.Files, orNull(j.Detail), orNull(j.Error)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM arus_run_logs_table_jobs WHERE table_name = ?1 AND id <=
			(SELECT id FROM arus_run_logs_table_jobs WHERE table_name = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, j.Table, keptTableJobs)
		return err
	}), "write the log of table %s", j.Table)
}

// ListTableJobs returns one page of the log of a table's jobs, the newest first, and how many lines there are.
func (s *Store) ListTableJobs(ctx context.Context, table string, page Page) (list []model.TableJob, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_run_logs_table_jobs WHERE table_name = ?`, table).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanTableJob, `SELECT id, table_name, job, at, actor, rows, files, detail, error FROM arus_run_logs_table_jobs
			WHERE table_name = ? ORDER BY id DESC LIMIT ? OFFSET ?`, table, limit, offset)
		return err
	})
	return list, total, fail(err, "list the jobs of table %s", table)
}

// LastTableJobs returns the newest line of each table's log, by table.
func (s *Store) LastTableJobs(ctx context.Context) (map[string]model.TableJob, error) {
	list, err := collect(ctx, s.reader, scanTableJob, `SELECT id, table_name, job, at, actor, rows, files, detail, error FROM arus_run_logs_table_jobs
		WHERE id IN (SELECT max(id) FROM arus_run_logs_table_jobs GROUP BY table_name)`)
	last := make(map[string]model.TableJob, len(list))
	for _, j := range list {
		last[j.Table] = j
	}
	return last, fail(err, "list the last jobs of the tables")
}

// ForgetTableJobs removes the log of a table that is gone.
func (s *Store) ForgetTableJobs(ctx context.Context, table string) error {
	_, err := s.writer.ExecContext(ctx, `DELETE FROM arus_run_logs_table_jobs WHERE table_name = ?`, table)
	return fail(err, "remove the log of table %s", table)
}
