package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
)

// sourceItem is a source in a list.
type sourceItem struct {
	ID            string                 `json:"id"`
	Name          string                 `json:"name"`
	Type          model.SourceType       `json:"type"`
	Host          string                 `json:"host"`
	Port          int                    `json:"port"`
	Database      string                 `json:"database"`
	URI           *string                `json:"uri"`
	AuthSource    *string                `json:"auth_source"`
	Status        model.ConnectionStatus `json:"status"`
	LastError     *string                `json:"last_error"`
	TableCount    int64                  `json:"table_count"`
	EnabledTables int64                  `json:"enabled_table_count"`
	SchemaInclude []string               `json:"schema_include"`
	LastTested    *time.Time             `json:"last_tested"`
	CreatedAt     time.Time              `json:"created_at"`
}

// sourceDetail is one source.
type sourceDetail struct {
	sourceItem
	Username     string            `json:"username"`
	HasPassword  bool              `json:"has_password"`
	SSL          bool              `json:"ssl"`
	TLS          model.TLSOptions  `json:"tls"`
	Params       map[string]string `json:"params"`
	SyncMethod   model.SyncMethod  `json:"sync_method"`
	TableInclude []string          `json:"table_include"`
	TableExclude []string          `json:"table_exclude"`
	Views        bool              `json:"views"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

func sourceView(s model.Source, tables control.SourceTables) sourceItem {
	v := sourceItem{
		ID: s.ID, Name: s.Name, Type: s.Type, Host: s.Host, Port: s.Port, Database: s.Database, Status: s.Status, LastError: orNil(s.LastError),
		TableCount: tables.Known, EnabledTables: tables.Enabled, SchemaInclude: list(s.SchemaInclude), LastTested: stamp(s.LastTested), CreatedAt: s.CreatedAt,
	}
	if s.Type == model.SourceMongoDB {
		uri := control.SourceConnection(s).URL()
		v.URI = &uri
		v.AuthSource = orNil(s.Options.Params["authSource"])
	}
	return v
}

func sourceDetailView(s model.Source, tables control.SourceTables) sourceDetail {
	params := s.Options.Params
	if params == nil {
		params = map[string]string{}
	}
	return sourceDetail{
		sourceItem: sourceView(s, tables), Username: s.Username, HasPassword: s.PasswordEnc != "", SSL: s.SSL, TLS: s.Options.TLS, Params: params,
		SyncMethod: s.SyncMethod, TableInclude: list(s.TableInclude), TableExclude: list(s.TableExclude), Views: s.Options.Views, UpdatedAt: s.UpdatedAt,
	}
}
