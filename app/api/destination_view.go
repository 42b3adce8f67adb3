package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
)

// destinationItem is a destination in a list.
type destinationItem struct {
	ID           string                 `json:"id"`
	Name         string                 `json:"name"`
	Type         model.DestinationType  `json:"type"`
	Host         string                 `json:"host"`
	Port         int                    `json:"port"`
	Database     string                 `json:"database"`
	Status       model.ConnectionStatus `json:"status"`
	LastError    *string                `json:"last_error"`
	LastTested   *time.Time             `json:"last_tested"`
	RawSchema    string                 `json:"raw_schema"`
	TargetSchema string                 `json:"target_schema"`
	IsDefault    bool                   `json:"is_default"`
	TotalTables  int64                  `json:"total_tables"`
	TotalRows    int64                  `json:"total_rows"`
	CreatedAt    time.Time              `json:"created_at"`
}

// destinationDetail is one destination.
type destinationDetail struct {
	destinationItem
	Username    string            `json:"username"`
	HasPassword bool              `json:"has_password"`
	SSL         bool              `json:"ssl"`
	TLS         model.TLSOptions  `json:"tls"`
	Params      map[string]string `json:"params"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func destinationView(d model.Destination, figures control.DestinationFigures) destinationItem {
	return destinationItem{
		ID: d.ID, Name: d.Name, Type: d.Type, Host: d.Host, Port: d.Port, Database: d.Database, Status: d.Status, LastError: orNil(d.LastError),
		LastTested: stamp(d.LastTested), RawSchema: d.RawSchema, TargetSchema: d.TargetSchema, IsDefault: d.IsDefault,
		TotalTables: figures.Tables, TotalRows: figures.Rows, CreatedAt: d.CreatedAt,
	}
}

func destinationDetailView(d model.Destination, figures control.DestinationFigures) destinationDetail {
	params := d.Options.Params
	if params == nil {
		params = map[string]string{}
	}
	return destinationDetail{
		destinationItem: destinationView(d, figures), Username: d.Username, HasPassword: d.PasswordEnc != "", SSL: d.SSL, TLS: d.Options.TLS,
		Params: params, UpdatedAt: d.UpdatedAt,
	}
}
