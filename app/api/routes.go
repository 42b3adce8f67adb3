package api

import (
	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/app/transform"
)

// routes is every path of the API: who may, what is done, what goes in and
// comes out. {id} is the id of the noun that the path begins with.
func routes() []route {
	const paging = "limit offset"
	return []route{
		{"GET", "/api/health", auth.Public, healthGet, "Whether the program can do its work", "", nil, healthAnswer{}},
		{"GET", "/api/openapi.json", auth.Public, openAPIGet, "This description", "", nil, nil},

		{"POST", "/api/auth/login", auth.Public, authLogin, "Sign in as a program", "", loginBody{}, loginAnswer{}},
		{"POST", "/api/auth/refresh", auth.Public, authRefresh, "A new pair of tokens for the one in X-Refresh-Token", "", nil, tokensAnswer{}},
		{"POST", "/api/auth/setup", auth.Public, authSetup, "Make the first admin with the setup token", "", setupBody{}, meAnswer{}},
		{"POST", "/api/auth/logout", auth.Anyone, authLogout, "End this session", "", nil, message{}},
		{"GET", "/api/auth/me", auth.Anyone, authMe, "One's own account", "", nil, meAnswer{}},
		{"POST", "/api/auth/password", auth.Anyone, authPassword, "Change one's own password", "", passwordBody{}, updatedAnswer{}},
		{"GET", "/api/sessions", auth.Anyone, sessionList, "One's own sessions", "", nil, []sessionItem{}},
		{"DELETE", "/api/sessions", auth.Anyone, sessionRevokeAll, "Sign out everywhere", "", nil, revokedAnswer{}},
		{"DELETE", "/api/sessions/{id}", auth.Anyone, sessionRevoke, "End a session", "", nil, deletedAnswer{}},

		{"GET", "/api/auth/users", auth.ManageUsers, userList, "The accounts", paging, nil, userPage{}},
		{"POST", "/api/auth/users", auth.ManageUsers, userCreate, "Make an account", "", userBody{}, idAnswer{}},
		{"PATCH", "/api/auth/users/{id}", auth.ManageUsers, userUpdate, "Change an account", "", userBody{}, userAnswer{}},
		{"PUT", "/api/auth/users/{id}", auth.ManageUsers, userUpdate, "Change an account", "", userBody{}, userAnswer{}},
		{"DELETE", "/api/auth/users/{id}", auth.ManageUsers, userDelete, "Remove an account", "", nil, message{}},
		{"GET", "/api/auth/users/{id}/sessions", auth.ManageUsers, userSessions, "The sessions of an account", "", nil, []sessionItem{}},
		{"DELETE", "/api/auth/users/{id}/sessions", auth.ManageUsers, userSignOut, "Sign an account out everywhere", "", nil, revokedAnswer{}},
		{"GET", "/api/tokens", auth.ManageTokens, tokenList, "The API tokens", paging, nil, tokenPage{}},
		{"POST", "/api/tokens", auth.ManageTokens, tokenCreate, "Make an API token, shown this once", "", tokenBody{}, tokenAnswer{}},
		{"DELETE", "/api/tokens/{id}", auth.ManageTokens, tokenDelete, "Revoke an API token", "", nil, deletedAnswer{}},
		{"GET", "/api/audit", auth.ReadAudit, auditList, "Who did what", "actor_id action object_type object_id since until " + paging, nil, auditPage{}},

		{"GET", "/api/sources", auth.Read, sourceList, "The sources", paging, nil, sourcePage{}},
		{"POST", "/api/sources", auth.EditSources, sourceCreate, "Store a source", "", sourceBody{}, idAnswer{}},
		{"GET", "/api/sources/{id}", auth.Read, sourceGet, "A source", "", nil, sourceDetail{}},
		{"PUT", "/api/sources/{id}", auth.EditSources, sourceUpdate, "Change a source", "", sourceBody{}, updatedAnswer{}},
		{"DELETE", "/api/sources/{id}", auth.EditSources, sourceDelete, "Remove a source with its pipelines", "", nil, deletedAnswer{}},
		{"POST", "/api/sources/{id}/test", auth.ProbeConnections, sourceTest, "Test a source in stages", "", nil, testAnswer{}},
		{"POST", "/api/sources/{id}/discover", auth.ProbeConnections, sourceDiscover, "The tables of a source, as they are now", "", nil, discoverAnswer{}},
		{"POST", "/api/sources/{id}/schemas", auth.ProbeConnections, sourceSchemas, "The schemas of a source", "", nil, schemasAnswer{}},
		{"PUT", "/api/sources/{id}/tables", auth.EditPipelines, sourceTables, "Choose the tables to copy", "", sourceTablesBody{}, sourceTablesAnswer{}},
		{"GET", "/api/sources/{id}/preview", auth.ReadRows, sourcePreview, "The first rows of a table", "schema table limit", nil, control.Rows{}},
		{"POST", "/api/connections/test", auth.ProbeConnections, connectionTest, "Test a connection that is not stored", "", connectionTestBody{}, testAnswer{}},

		{"GET", "/api/destinations", auth.Read, destinationList, "The destinations", paging, nil, destinationPage{}},
		{"POST", "/api/destinations", auth.EditDestinations, destinationCreate, "Store a destination", "", destinationBody{}, idAnswer{}},
		{"GET", "/api/destinations/{id}", auth.Read, destinationGet, "A destination", "", nil, destinationDetail{}},
		{"PUT", "/api/destinations/{id}", auth.EditDestinations, destinationUpdate, "Change a destination", "", destinationBody{}, updatedAnswer{}},
		{"DELETE", "/api/destinations/{id}", auth.EditDestinations, destinationDelete, "Remove a destination", "", nil, deletedAnswer{}},
		{"POST", "/api/destinations/{id}/tables/plan", auth.ProbeConnections, destinationTablesPlan, "Say what would make tables of a destination what declarations say", "", declareBody{}, declareAnswer{}},
		{"POST", "/api/destinations/{id}/tables/apply", auth.EditDestinations, destinationTablesApply, "Make tables of a destination what declarations say, all of them or none", "", declareBody{}, declareAnswer{}},
		{"POST", "/api/destinations/{id}/test", auth.ProbeConnections, destinationTest, "Test a destination in stages", "", nil, testAnswer{}},

		{"GET", "/api/pipelines", auth.Read, pipelineList, "The pipelines", "status source_id destination_id " + paging, nil, pipelinePage{}},
		{"POST", "/api/pipelines", auth.EditPipelines, pipelineCreate, "Store a pipeline", "", pipelineBody{}, idAnswer{}},
		{"POST", "/api/pipelines/pause-all", auth.RunPipelines, pipelinePauseAll, "Pause every pipeline", "", nil, pausedAll{}},
		{"POST", "/api/pipelines/resume-all", auth.RunPipelines, pipelineResumeAll, "Resume every pipeline", "", nil, resumedAll{}},
		{"GET", "/api/pipelines/{id}", auth.Read, pipelineGet, "A pipeline", "", nil, pipelineDetail{}},
		{"PUT", "/api/pipelines/{id}", auth.EditPipelines, pipelineUpdate, "Change a pipeline", "", pipelineBody{}, updatedAnswer{}},
		{"DELETE", "/api/pipelines/{id}", auth.EditPipelines, pipelineDelete, "Remove a pipeline with its history", "", nil, deletedAnswer{}},
		{"POST", "/api/pipelines/{id}/trigger", auth.RunPipelines, pipelineTrigger, "Run a pipeline; wait=true answers at its end", "wait", triggerBody{}, triggerAnswer{}},
		{"POST", "/api/pipelines/{id}/full-refresh", auth.RunPipelines, pipelineFullRefresh, "Read everything and replace the targets", "wait", nil, triggerAnswer{}},
		{"POST", "/api/pipelines/{id}/backfill", auth.RunPipelines, pipelineBackfill, "Read again from a date on", "wait", backfillBody{}, triggerAnswer{}},
		{"POST", "/api/pipelines/{id}/pause", auth.RunPipelines, pipelinePause, "Pause a pipeline", "", nil, pauseAnswer{}},
		{"POST", "/api/pipelines/{id}/resume", auth.RunPipelines, pipelineResume, "Resume a pipeline", "", nil, pauseAnswer{}},
		{"POST", "/api/pipelines/{id}/test", auth.ProbeConnections, pipelineTest, "Test both ends of a pipeline", "", nil, testAnswer{}},
		{"POST", "/api/pipelines/{id}/discover", auth.EditPipelines, pipelineDiscover, "The source's tables, and which are copied; add=true takes the others", "add", nil, pipelineDiscoverAnswer{}},
		{"GET", "/api/pipelines/{id}/runs", auth.Read, pipelineRuns, "The runs of a pipeline", "asset_name status " + paging, nil, []runItem{}},
		{"GET", "/api/pipelines/{id}/watermarks", auth.Read, watermarkList, "How far the tables are loaded", "", nil, []watermarkItem{}},
		{"DELETE", "/api/pipelines/{id}/watermarks", auth.RunPipelines, watermarkReset, "Read a table, or all, from the beginning next time", "table", nil, deletedAnswer{}},
		{"GET", "/api/pipelines/{id}/scripts", auth.Read, scriptList, "The scripts of a pipeline", paging, nil, scriptPage{}},
		{"POST", "/api/pipelines/{id}/scripts", auth.EditScripts, scriptCreate, "Store a script", "", scriptBody{}, scriptItem{}},
		{"POST", "/api/pipelines/{id}/transforms/preview", auth.ProbeConnections, transformPreview, "What steps make of a table's first rows; nothing is written", "", transformPreviewBody{}, transform.Preview{}},
		{"POST", "/api/pipelines/{id}/scripts/test", auth.EditScripts, scriptTest, "Run a script over given rows; nothing is stored", "", scriptTestBody{}, control.ScriptTest{}},
		{"GET", "/api/pipelines/{id}/scripts/{script_id}", auth.Read, scriptGet, "A script", "", nil, scriptItem{}},
		{"PUT", "/api/pipelines/{id}/scripts/{script_id}", auth.EditScripts, scriptUpdate, "Change a script", "", scriptBody{}, scriptItem{}},
		{"DELETE", "/api/pipelines/{id}/scripts/{script_id}", auth.EditScripts, scriptDelete, "Remove a script", "", nil, deletedAnswer{}},

		{"GET", "/api/pipelines/{id}/dead-letters", auth.ReadRows, letterList, "The dead letters of a pipeline", "table run_id " + paging, nil, []letterItem{}},
		{"GET", "/api/pipelines/{id}/dead-letters/{letter_id}", auth.ReadRows, letterGet, "A dead letter", "", nil, letterItem{}},
		{"POST", "/api/pipelines/{id}/dead-letters/retry", auth.EditDeadLetters, letterRetry, "Load dead letters again", "", lettersBody{}, triggerAnswer{}},
		{"POST", "/api/pipelines/{id}/dead-letters/drop", auth.EditDeadLetters, letterDrop, "Delete dead letters for good", "", lettersBody{}, droppedAnswer{}},
		{"POST", "/api/pipelines/{id}/verify", auth.ProbeConnections, pipelineVerify, "Compare tables with their targets, row for row, as they are now", "", verifyBody{}, verifyAnswer{}},
		{"POST", "/api/pipelines/{id}/rebuild", auth.RunPipelines, pipelineRebuild, "Make targets anew from their raw rows", "", rebuildBody{}, triggerAnswer{}},

		{"GET", "/api/quality", auth.Read, qualityList, "The quality checks, newest first", "pipeline_id run_id table status " + paging, nil, qualityPage{}},
		{"GET", "/api/schema-changes", auth.Read, changeList, "What changed at the sources, newest first", "pipeline_id table status open " + paging, nil, changePage{}},
		{"POST", "/api/schema-changes/{id}/apply", auth.EditPipelines, changeApply, "Let the next run follow a change", "", nil, model.SchemaChange{}},
		{"POST", "/api/schema-changes/{id}/ignore", auth.EditPipelines, changeIgnore, "Leave a change alone", "", nil, model.SchemaChange{}},

		{"GET", "/api/runs", auth.Read, runList, "The runs, newest first", "status pipeline_id " + paging, nil, runPage{}},
		{"GET", "/api/runs/stats/daily", auth.Read, runStatsDaily, "Runs and rows by day, in UTC", "days", nil, []control.DailyStats{}},
		{"GET", "/api/runs/{id}", auth.Read, runGet, "A run with its tables", "", nil, runDetail{}},
		{"GET", "/api/runs/{id}/logs", auth.Read, runLogsGet, "The log of a run", paging, nil, runLogs{}},
		{"POST", "/api/runs/{id}/cancel", auth.RunPipelines, runCancel, "End a run at its next checkpoint", "", nil, cancelAnswer{}},
		{"POST", "/api/runs/{id}/retry", auth.RunPipelines, runRetry, "Run again what failed", "wait", nil, triggerAnswer{}},

		{"GET", "/api/dashboard/summary", auth.Read, dashboardSummary, "The figures of everything", "", nil, control.Summary{}},
		{"GET", "/api/dashboard/recent-runs", auth.Read, dashboardRecent, "The newest runs", "limit", nil, []recentRun{}},
		{"GET", "/api/dag", auth.Read, dagGet, "What flows from where to where", "pipeline_id", nil, []dagPipeline{}},
		{"GET", "/api/events", auth.Read, eventStream, "Events as they happen (server-sent events)", "last_event_id", nil, nil},
		{"POST", "/api/warehouse/query", auth.ReadRows, queryPost, "Ask the built-in warehouse in SQL: some rows, or by format or Accept all of them as NDJSON, CSV or Arrow", "", queryBody{}, control.Rows{}},
		{"GET", "/api/warehouse/views", auth.Read, viewList, "The views of the built-in warehouse", "", nil, []viewItem{}},
		{"POST", "/api/warehouse/views", auth.EditWarehouse, viewSet, "Store a view", "", viewItem{}, viewItem{}},
		{"DELETE", "/api/warehouse/views/{name}", auth.EditWarehouse, viewDrop, "Remove a view", "", nil, deletedAnswer{}},

		{"GET", "/api/notifications/targets", auth.Read, targetList, "The notification targets, without secrets", "", nil, []targetItem{}},
		{"POST", "/api/notifications/targets", auth.EditNotifications, targetCreate, "Store a notification target", "", targetBody{}, targetItem{}},
		{"PUT", "/api/notifications/targets/{id}", auth.EditNotifications, targetUpdate, "Change a notification target", "", targetBody{}, targetItem{}},
		{"DELETE", "/api/notifications/targets/{id}", auth.EditNotifications, targetDelete, "Remove a notification target", "", nil, deletedAnswer{}},
		{"POST", "/api/notifications/targets/{id}/test", auth.EditNotifications, targetTest, "Send a message with made-up figures to a notification target", "", targetTestBody{}, targetTestAnswer{}},
		{"GET", "/api/notifications/history", auth.Read, notificationList, "The notifications that wait, were sent or were refused", "target_id pipeline_id status " + paging, nil, notificationPage{}},
		{"GET", "/api/notifications/links/{id}", auth.Read, linkList, "The notification links of a pipeline", "", nil, []linkItem{}},
		{"POST", "/api/notifications/links", auth.EditNotifications, linkCreate, "Link a pipeline with a notification target", "", linkBody{}, linkItem{}},
		{"PUT", "/api/notifications/links/{id}", auth.EditNotifications, linkUpdate, "Change a notification link", "", linkBody{}, linkItem{}},
		{"DELETE", "/api/notifications/links/{id}", auth.EditNotifications, linkDelete, "Remove a notification link", "", nil, deletedAnswer{}},

		{"GET", "/api/schedules", auth.Read, scheduleList, "When the pipelines run by themselves", "", nil, scheduleAnswer{}},
		{"GET", "/api/schedules/next", auth.Read, scheduleNext, "When a schedule is due next", "schedule timezone count", nil, scheduleNextAnswer{}},

		{"GET", "/api/settings", auth.Read, settingsGet, "The settings", "", nil, map[string]string{}},
		{"GET", "/api/settings/details", auth.Read, settingsDetails, "The settings and where their values came from", "", nil, []settingItem{}},
		{"PUT", "/api/settings", auth.EditSettings, settingsUpdate, "Change settings; null takes one back to its default", "", map[string]any{}, map[string]string{}},
		{"POST", "/api/backup", auth.Maintain, backupCreate, "Write the state and the built-in warehouse into the backups folder", "", nil, backupAnswer{}},
		{"GET", "/api/backups", auth.Maintain, backupList, "The backups folder, newest first", "", nil, []backupAnswer{}},
		{"POST", uploads, auth.Maintain, backupAdd, "Put a backup that was made elsewhere into the backups folder: the body is the file as it is, of any size", "", nil, backupAnswer{}},
		{"GET", "/api/backups/{file}", auth.Maintain, backupGet, "A backup, as it is", "", nil, nil},
		{"POST", "/api/backups/{file}/restore", auth.Maintain, backupRestore, "Put a backup in the place of what is; the server begins again", "", restoreBody{}, control.Restored{}},
		{"GET", "/api/config", auth.Maintain, configExport, "The configuration without secrets; format=yaml, or Accept, for the file of arus apply", "format", nil, nil},
		{"GET", "/api/config/schema", auth.Maintain, configSchema, "The JSON Schema of that file", "", nil, nil},
		{"POST", "/api/config/plan", auth.Maintain, configPlan, "What applying a file (YAML or JSON) would change", "prune", nil, control.ConfigPlan{}},
		{"POST", "/api/config/apply", auth.Maintain, configApply, "Make the configuration what a file says, all of it or nothing", "prune", nil, control.ConfigPlan{}},
	}
}
