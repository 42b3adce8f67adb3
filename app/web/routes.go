package web

import "arus/app/auth"

// route is one page or form: who may, and what is done.
type route struct {
	method  string
	path    string
	needs   auth.Permission
	handler func(*visit) error
}

// routes is every address of the console. A page and its form share an address:
// GET shows it, POST does it and leads on.
func routes() []route {
	return []route{
		{"GET", "/sign-in", auth.Public, sessionBeginPage},
		{"POST", "/sign-in", auth.Public, sessionBegin},
		{"POST", "/sign-out", auth.Public, sessionEnd},
		{"GET", "/setup", auth.Public, setupPage},
		{"POST", "/setup", auth.Public, setup},
		{"GET", "/enter", auth.Public, openLink},
		{"GET", "/close", auth.Maintain, appClosePage},
		{"POST", "/close", auth.Maintain, appClose},
		{"POST", "/theme", auth.Public, themeSet},

		{"GET", "/{$}", auth.Read, dashboardShow},
		{"GET", "/live", auth.Read, liveStream},
		{"GET", "/search", auth.Read, searchShow},
		{"GET", "/about", auth.Read, aboutShow},
		{"GET", "/alerts", auth.Read, alertList},
		{"GET", "/alerts/bell", auth.Read, alertBell},

		{"GET", "/welcome", auth.EditPipelines, welcomeShow},
		{"POST", "/welcome/begin", auth.EditPipelines, welcomeBegin},
		{"POST", "/welcome/sample", auth.EditPipelines, welcomeSample},
		{"GET", "/welcome/source", auth.EditPipelines, welcomeSourcePage},
		{"POST", "/welcome/source", auth.EditPipelines, welcomeSource},
		{"POST", "/welcome/test", auth.EditPipelines, welcomeCheck},
		{"POST", "/welcome/look", auth.EditPipelines, welcomeLook},
		{"GET", "/welcome/destination", auth.EditPipelines, welcomeDestinationPage},
		{"POST", "/welcome/destination", auth.EditPipelines, welcomeDestination},
		{"GET", "/welcome/tables", auth.EditPipelines, welcomeTablesPage},
		{"POST", "/welcome/tables", auth.EditPipelines, welcomeTables},
		{"GET", "/welcome/schedule", auth.EditPipelines, welcomeSchedulePage},
		{"POST", "/welcome/schedule", auth.EditPipelines, welcomeSchedule},
		{"GET", "/welcome/run", auth.EditPipelines, welcomeRunPage},
		{"POST", "/welcome/run", auth.EditPipelines, welcomeRun},

		{"GET", "/sources", auth.Read, sourceList},
		{"GET", "/sources/new", auth.EditSources, sourceNewPage},
		{"POST", "/sources/new", auth.EditSources, sourceNew},
		{"GET", "/sources/{id}", auth.Read, sourceShow},
		{"GET", "/sources/{id}/table", auth.Read, sourceTable},
		{"GET", "/sources/{id}/edit", auth.EditSources, sourceEditPage},
		{"POST", "/sources/{id}/edit", auth.EditSources, sourceEdit},
		{"POST", "/sources/{id}/test", auth.ProbeConnections, sourceCheck},
		{"POST", "/sources/{id}/discover", auth.ProbeConnections, sourceDiscover},
		{"GET", "/sources/{id}/clone", auth.EditSources, sourceClonePage},
		{"POST", "/sources/{id}/clone", auth.EditSources, sourceClone},
		{"GET", "/sources/{id}/delete", auth.EditSources, sourceDeletePage},
		{"POST", "/sources/{id}/delete", auth.EditSources, sourceDelete},

		{"GET", "/destinations", auth.Read, destinationList},
		{"GET", "/destinations/new", auth.EditDestinations, destinationNewPage},
		{"POST", "/destinations/new", auth.EditDestinations, destinationNew},
		{"GET", "/destinations/{id}", auth.Read, destinationShow},
		{"GET", "/destinations/{id}/table", auth.Read, destinationTable},
		{"GET", "/destinations/{id}/edit", auth.EditDestinations, destinationEditPage},
		{"POST", "/destinations/{id}/edit", auth.EditDestinations, destinationEdit},
		{"POST", "/destinations/{id}/test", auth.ProbeConnections, destinationCheck},
		{"POST", "/destinations/{id}/discover", auth.ProbeConnections, destinationDiscover},
		{"GET", "/destinations/{id}/clone", auth.EditDestinations, destinationClonePage},
		{"POST", "/destinations/{id}/clone", auth.EditDestinations, destinationClone},
		{"GET", "/destinations/{id}/delete", auth.EditDestinations, destinationDeletePage},
		{"POST", "/destinations/{id}/delete", auth.EditDestinations, destinationDelete},

		{"GET", "/graph", auth.Read, graphShow},

		{"GET", "/pipelines", auth.Read, pipelineList},
		{"POST", "/pipelines/bulk", auth.RunPipelines, pipelineBulk},
		{"GET", "/pipelines/new", auth.EditPipelines, pipelineNewPage},
		{"POST", "/pipelines/new", auth.EditPipelines, pipelineNew},
		{"GET", "/pipelines/{id}", auth.Read, pipelineShow},
		{"GET", "/pipelines/{id}/runs", auth.Read, pipelineRuns},
		{"GET", "/pipelines/{id}/tables", auth.Read, tableList},
		{"POST", "/pipelines/{id}/tables", auth.EditPipelines, tableChange},
		{"POST", "/pipelines/{id}/run", auth.RunPipelines, pipelineRun},
		{"GET", "/pipelines/{id}/full-refresh", auth.RunPipelines, pipelineRefreshPage},
		{"POST", "/pipelines/{id}/full-refresh", auth.RunPipelines, pipelineRefresh},
		{"GET", "/pipelines/{id}/backfill", auth.RunPipelines, pipelineBackfillPage},
		{"POST", "/pipelines/{id}/backfill", auth.RunPipelines, pipelineBackfill},
		{"POST", "/pipelines/{id}/pause", auth.RunPipelines, pipelinePause},
		{"POST", "/pipelines/{id}/resume", auth.RunPipelines, pipelineResume},
		{"GET", "/pipelines/{id}/clone", auth.EditPipelines, pipelineClonePage},
		{"POST", "/pipelines/{id}/clone", auth.EditPipelines, pipelineClone},
		{"GET", "/pipelines/{id}/delete", auth.EditPipelines, pipelineDeletePage},
		{"POST", "/pipelines/{id}/delete", auth.EditPipelines, pipelineDelete},
		{"GET", "/pipelines/{id}/transforms", auth.Read, transformShow},
		{"POST", "/pipelines/{id}/transforms", auth.EditPipelines, transformEdit},
		{"GET", "/pipelines/{id}/scripts", auth.Read, scriptList},
		{"GET", "/pipelines/{id}/scripts/new", auth.EditScripts, scriptNewPage},
		{"POST", "/pipelines/{id}/scripts/new", auth.EditScripts, scriptEdit},
		{"GET", "/pipelines/{id}/scripts/{script}", auth.Read, scriptShow},
		{"POST", "/pipelines/{id}/scripts/{script}", auth.EditScripts, scriptEdit},
		{"GET", "/pipelines/{id}/scripts/{script}/delete", auth.EditScripts, scriptDeletePage},
		{"POST", "/pipelines/{id}/scripts/{script}/delete", auth.EditScripts, scriptDelete},
		{"GET", "/pipelines/{id}/settings", auth.Read, pipelineSettingsPage},
		{"POST", "/pipelines/{id}/settings", auth.EditPipelines, pipelineSettings},
		{"GET", "/pipelines/{id}/dead-letters", auth.ReadRows, letterList},
		{"POST", "/pipelines/{id}/dead-letters", auth.EditDeadLetters, letterDecide},
		{"GET", "/pipelines/{id}/dead-letters/export", auth.ReadRows, letterExport},
		{"GET", "/pipelines/{id}/notifications", auth.Read, linkList},
		{"POST", "/pipelines/{id}/notifications", auth.EditNotifications, linkChange},
		{"GET", "/pipelines/{id}/quality", auth.Read, qualityList},
		{"GET", "/pipelines/{id}/schema-changes", auth.Read, changeList},
		{"POST", "/pipelines/{id}/schema-changes/{change}/apply", auth.EditPipelines, changeApply},
		{"POST", "/pipelines/{id}/schema-changes/{change}/ignore", auth.EditPipelines, changeIgnore},
		{"GET", "/pipelines/{id}/watermarks", auth.Read, watermarkList},
		{"GET", "/pipelines/{id}/watermarks/reset", auth.RunPipelines, watermarkResetPage},
		{"POST", "/pipelines/{id}/watermarks/reset", auth.RunPipelines, watermarkReset},

		{"GET", "/runs", auth.Read, runList},
		{"GET", "/runs/{id}", auth.Read, runShow},
		{"GET", "/runs/{id}/log", auth.Read, runLogSave},
		{"GET", "/runs/{id}/compare", auth.Read, runCompare},
		{"GET", "/runs/{id}/cancel", auth.RunPipelines, runCancelPage},
		{"POST", "/runs/{id}/cancel", auth.RunPipelines, runCancel},
		{"POST", "/runs/{id}/retry", auth.RunPipelines, runRetry},
	}
}

// section is a line of the sidebar. It is there when the console has the page
// and the viewer may see it.
type section struct {
	group string
	label string
	path  string
	icon  string
	key   string // with g, the keyboard shortcut
	needs auth.Permission
}

func sections() []section {
	return []section{
		{"", "Dashboard", "/", "layout-dashboard", "d", auth.Read},
		{"Connect", "Sources", "/sources", "database-export", "s", auth.Read},
		{"Connect", "Destinations", "/destinations", "database-import", "t", auth.Read},
		{"Move", "Pipelines", "/pipelines", "route", "p", auth.Read},
		{"Move", "Runs", "/runs", "history", "r", auth.Read},
		{"Move", "Graph", "/graph", "sitemap", "a", auth.Read},
		{"Store", "Warehouse", "/warehouse", "building-warehouse", "w", auth.Read},
		{"Store", "SQL", "/query", "terminal-2", "q", auth.ReadRows},
		{"Watch", "Alerts", "/alerts", "bell", "l", auth.Read},
		{"Watch", "Notifications", "/notifications", "send", "n", auth.Read},
		{"Manage", "Users", "/users", "users", "u", auth.ManageUsers},
		{"Manage", "Tokens", "/tokens", "key", "k", auth.ManageTokens},
		{"Manage", "Settings", "/settings", "settings", "e", auth.EditSettings},
		{"Manage", "Audit log", "/audit", "report", "i", auth.ReadAudit},
		{"Manage", "Backups", "/backups", "archive", "b", auth.Maintain},
		{"Manage", "About", "/about", "info-circle", "o", auth.Read},
	}
}
