package web

import (
	"arus/app/auth"
	"arus/app/model"
	"arus/views/pages"
)

// userList is the accounts.
func userList(v *visit) error {
	list := v.list()
	users, total, err := v.Control.ListUsers(v.ctx, listPage(list))
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.UsersView{List: list}
	for _, u := range users {
		view.Users = append(view.Users, pages.UserLine{ID: u.ID, Name: u.Name, Email: u.Email, Role: string(u.Role), Active: u.Active, Self: u.ID == v.actor().UserID(), LastLogin: u.LastLogin})
	}
	for _, row := range []struct {
		what  string
		needs auth.Permission
	}{
		{"Look at pipelines, runs, logs, tables' columns", auth.Read},
		{"Read rows: SQL, previews, dead letters", auth.ReadRows},
		{"Change sources and destinations, test connections", auth.EditSources},
		{"Change pipelines, transforms and scripts", auth.EditPipelines},
		{"Start, cancel, retry, pause and resume runs", auth.RunPipelines},
		{"Declare and change tables of the warehouse", auth.EditWarehouse},
		{"Change notification targets", auth.EditNotifications},
		{"Change settings", auth.EditSettings},
		{"Manage users and sessions", auth.ManageUsers},
		{"Make and revoke tokens", auth.ManageTokens},
		{"Read the audit log", auth.ReadAudit},
		{"Backups, jobs of tables, the configuration as a file", auth.Maintain},
	} {
		view.Roles = append(view.Roles, pages.RoleRow{What: row.what, Viewer: auth.Can(model.RoleViewer, row.needs), Editor: auth.Can(model.RoleEditor, row.needs)})
	}
	return v.show(page{title: "Users"}, pages.Users(view))
}
