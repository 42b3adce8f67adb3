package components

// look is how a status is drawn: never by colour alone.
type look struct{ tone, icon, text string }

// looks are the statuses of runs, pipelines, connections, checks, schema changes
// and deliveries, by the word that the API uses.
func statusLook(status string) look {
	switch status {
	case "success", "connected", "passed", "applied", "sent", "fresh", "ready", "done", "copied", "ok":
		return look{"green", "circle-check", ""}
	case "active":
		return look{"green", "player-play", ""}
	case "failed", "error", "failing", "quality check failed":
		return look{"red", "circle-x", ""}
	case "warning", "overdue", "stale", "pending", "degraded", "drifting", "dead letters":
		return look{"orange", "alert-triangle", ""}
	case "running":
		return look{"blue", "loader", ""}
	case "queued":
		return look{"azure", "hourglass", ""}
	case "paused":
		return look{"orange", "player-pause", ""}
	case "cancelled":
		return look{"secondary", "player-stop", ""}
	case "skipped":
		return look{"secondary", "player-skip-forward", ""}
	case "registered":
		return look{"secondary", "circle-dashed", "not tested"}
	case "not_started":
		return look{"secondary", "circle-dashed", "not started"}
	case "inactive", "disabled", "ignored":
		return look{"secondary", "circle-minus", ""}
	}
	return look{"secondary", "circle", ""}
}

func (l look) words(status string) string {
	if l.text != "" {
		return l.text
	}
	return status
}

// DatabaseName is how a kind of database is called.
func DatabaseName(kind string) string {
	name, _ := databaseLook(kind)
	return name
}

// databaseLook is how a kind of database is called and drawn.
func databaseLook(kind string) (name, icon string) {
	switch kind {
	case "postgresql":
		return "PostgreSQL", "database"
	case "mysql":
		return "MySQL", "brand-mysql"
	case "mariadb":
		return "MariaDB", "database"
	case "mongodb":
		return "MongoDB", "brand-mongodb"
	case "clickhouse":
		return "ClickHouse", "columns"
	case "sqlite":
		return "SQLite", "file-text"
	case "embedded":
		return "built-in warehouse", "building-warehouse"
	}
	return kind, "database"
}
