package control

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/jackc/pgx/v5"

	"arus/app/auth"
	"arus/connectors"
)

// originalKey is the key that an installation of the original Arus sealed its
// passwords with: itself, or what was made of its JWT secret.
func originalKey(key, jwtSecret connectors.Secret) (*fernet.Key, error) {
	var out fernet.Key
	switch {
	case key != "":
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(key.Reveal()), "="))
		if err != nil || len(b) != len(out) {
			return nil, fault("the import", "key", "must be 32 bytes in URL-safe base64 (44 characters); is it the JWT secret?")
		}
		copy(out[:], b)
	case jwtSecret != "":
		out = sha256.Sum256([]byte(jwtSecret.Reveal()))
	default:
		return nil, nil
	}
	return &out, nil
}

// original is one reading of the original's database, at one moment.
type original struct{ tx pgx.Tx }

func openOriginal(ctx context.Context, address string) (*original, func(), error) {
	fail := func(err error) error {
		kind, hint := connectors.KindNetwork, "check the address and that this user may read the schemas arus_config, arus_state and arus_run_logs"
		return &connectors.Error{Kind: kind, Op: "read the installation at", Object: connectors.RedactURL(address), Err: err, Hint: hint}
	}
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, nil, fault("the import", "url", "is no PostgreSQL URL: write postgres://user:password@host:port/database")
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(within, cfg)
	if err != nil {
		return nil, nil, fail(errors.New(strings.ReplaceAll(err.Error(), cfg.ConnString(), connectors.RedactURL(address))))
	}
	end := func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		end()
		return nil, nil, fail(err)
	}
	return &original{tx}, end, nil
}

var urlReference = regexp.MustCompile(`\$\{(env|file):[^}]*\}`)

// openReferenced opens the database at a URL that may hold references.
func (s *Service) openReferenced(ctx context.Context, text string) (*original, func(), error) {
	var failed error
	whole := urlReference.ReplaceAllStringFunc(text, func(ref string) string {
		value, err := s.resolve(connectors.Secret(ref))
		failed = errors.Join(failed, err)
		return url.PathEscape(value.Reveal())
	})
	if failed != nil {
		return nil, nil, failed
	}
	return openOriginal(ctx, whole)
}

// has says whether a table is there.
func (o *original) has(ctx context.Context, schema, table string) (there bool, err error) {
	err = o.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2)`, schema, table).Scan(&there)
	return there, err
}

// readRows gives every row of a table as the fields it has; versions of the
// original differ in them. A table that is not there has none.
func readRows[T any](ctx context.Context, o *original, schema, table, order string) ([]T, error) {
	there, err := o.has(ctx, schema, table)
	if err != nil || !there {
		return nil, err
	}
	rows, err := o.tx.Query(ctx, `SELECT to_jsonb(t)::text FROM `+pgx.Identifier{schema, table}.Sanitize()+` t ORDER BY `+order)
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", schema, table, err)
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read %s.%s: %w", schema, table, err)
		}
		var row T
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			return nil, fmt.Errorf("read %s.%s: %w", schema, table, err)
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", schema, table, err)
	}
	return list, nil
}

// The rows of the original; what a version lacks stays empty.
type (
	originalUser struct {
		ID, Email, Name, Role string
		PasswordHash          string `json:"password_hash"`
		Active                *bool  `json:"is_active"`
	}
	originalSource struct {
		ID, Name, Type, Host, Database, Username string
		Port                                     int
		PasswordEnc                              string `json:"password_enc"`
		SSL                                      bool
		URI                                      string
		AuthSource                               string   `json:"auth_source"`
		SyncMethod                               string   `json:"sync_method"`
		TableInclude                             []string `json:"table_include"`
		TableExclude                             []string `json:"table_exclude"`
		SchemaInclude                            []string `json:"schema_include"`
	}
	originalDestination struct {
		ID, Name, Type, Host, Database, Username string
		Port                                     int
		PasswordEnc                              string `json:"password_enc"`
		SSL                                      bool
		RawSchema                                string `json:"raw_schema"`
		TargetSchema                             string `json:"target_schema"`
		IsDefault                                bool   `json:"is_default"`
	}
	originalPipeline struct {
		ID, Name, Status, Schedule string
		SourceID                   string `json:"source_id"`
		DestinationID              string `json:"destination_id"`
		MaxRetries                 *int   `json:"max_retries"`
		TimeoutSeconds             *int   `json:"timeout_seconds"`
		DependsOn                  string `json:"depends_on"`
		TargetSchema               string `json:"target_schema"`
		LoadMode                   string `json:"load_mode"`
	}
	originalTable struct {
		ID              string
		PipelineID      string          `json:"pipeline_id"`
		SourceTable     string          `json:"source_table"`
		SourceSchema    string          `json:"source_schema"`
		TargetSchema    string          `json:"target_schema"`
		SyncMode        string          `json:"sync_mode"`
		LoadMode        string          `json:"load_mode"`
		WatermarkColumn string          `json:"watermark_column"`
		TransformConfig json.RawMessage `json:"transform_config"`
		Enabled         *bool
	}
	originalScript struct {
		ID, Name, Description, Content string
		PipelineID                     string `json:"pipeline_id"`
	}
	originalTarget struct {
		ID, Name, Type string
		Config         json.RawMessage // JSON, or a text that holds it
		Active         *bool
		IsActive       *bool `json:"is_active"`
	}
	originalLink struct {
		ID         string
		PipelineID string `json:"pipeline_id"`
		TargetID   string `json:"target_id"`
		Events     []string
		EventTypes []string `json:"event_types"`
	}
	originalSetting   struct{ Key, Value string }
	originalWatermark struct {
		ID           string
		PipelineID   string `json:"pipeline_id"`
		SourceTable  string `json:"source_table"`
		Column       string `json:"watermark_col"`
		Value        string `json:"watermark_value"`
		RowCount     int64  `json:"row_count"`
		LastRunID    string `json:"last_run_id"`
		LastSyncedAt string `json:"last_synced_at"`
	}
	originalRun struct {
		ID           string
		PipelineID   string `json:"pipeline_id"`
		Status       string
		StartedAt    string `json:"started_at"`
		FinishedAt   string `json:"finished_at"`
		DurationMS   int64  `json:"duration_ms"`
		RowsSynced   int64  `json:"rows_synced"`
		Trigger      string `json:"trigger_type"`
		ErrorMessage string `json:"error_message"`
		CreatedAt    string `json:"created_at"`
	}
	originalStat struct {
		ID              string
		RunID           string `json:"run_id"`
		TableName       string `json:"table_name"`
		RowsExtracted   int64  `json:"rows_extracted"`
		RowsRaw         int64  `json:"rows_loaded_raw"`
		RowsAnalytics   int64  `json:"rows_loaded_analytics"`
		RowsFailed      int64  `json:"rows_failed"`
		WatermarkBefore string `json:"watermark_before"`
		WatermarkAfter  string `json:"watermark_after"`
		DurationMS      int64  `json:"duration_ms"`
		ErrorMessage    string `json:"error_message"`
	}
	originalLog struct {
		RunID                     string `json:"run_id"`
		Timestamp, Level, Message string
	}
)

// timeOf reads a time of the original; what is none is the zero time.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// Resolve replaces a reference (${env:NAME}, ${file:PATH}) by what it refers to.
func (s *Service) Resolve(ctx context.Context, text connectors.Secret) (connectors.Secret, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return "", err
	}
	return s.resolve(text)
}
