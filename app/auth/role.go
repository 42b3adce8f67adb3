// Package auth holds the rules of who may do what and the means to know who
// somebody is: roles and permissions, passwords, tokens and login limits. It
// stores nothing.
package auth

import (
	"slices"

	"arus/app/model"
)

// Permission is the right to one group of use cases.
type Permission string

// The permissions. Public is for what anybody may do, Anyone for whoever is
// signed in.
const (
	Public Permission = "public"
	Anyone Permission = "anyone"

	Read              Permission = "read" // dashboard, lists and details, logs, events; never a secret
	ReadRows          Permission = "rows.read"
	ProbeConnections  Permission = "connections.probe"
	EditSources       Permission = "sources.edit"
	EditDestinations  Permission = "destinations.edit"
	EditPipelines     Permission = "pipelines.edit"
	RunPipelines      Permission = "pipelines.run" // start, cancel, retry, pause, resume
	EditScripts       Permission = "scripts.edit"
	EditDeadLetters   Permission = "dead_letters.edit"
	EditNotifications Permission = "notifications.edit"
	EditWarehouse     Permission = "warehouse.edit" // its tables and their rows

	EditSettings Permission = "settings.edit"
	ManageUsers  Permission = "users.manage"
	ManageTokens Permission = "tokens.manage"
	ReadAudit    Permission = "audit.read"
	Maintain     Permission = "maintain" // backup, retention, keys
)

// allowed is the one table of who may do what. A role may also do what the
// roles before it may.
var allowed = []struct {
	role        model.Role
	permissions []Permission
}{
	{model.RoleViewer, []Permission{Anyone, Read}},
	{model.RoleEditor, []Permission{
		ReadRows, ProbeConnections, EditSources, EditDestinations, EditPipelines, RunPipelines, EditScripts, EditDeadLetters, EditNotifications, EditWarehouse,
	}},
	{model.RoleAdmin, []Permission{EditSettings, ManageUsers, ManageTokens, ReadAudit, Maintain}},
}

// Can says whether a role has a permission.
func Can(role model.Role, p Permission) bool {
	if p == Public {
		return true
	}
	for _, row := range allowed {
		if slices.Contains(row.permissions, p) {
			return rank(role) >= rank(row.role)
		}
	}
	return false
}

// Needs is the least role that has the permission; "" for Public.
func Needs(p Permission) model.Role {
	for _, row := range allowed {
		if slices.Contains(row.permissions, p) {
			return row.role
		}
	}
	return ""
}

// Lesser is the role of the two that may do less.
func Lesser(a, b model.Role) model.Role {
	if rank(a) < rank(b) {
		return a
	}
	return b
}

// rank is 0 for what is no role.
func rank(role model.Role) int { return slices.Index(model.Roles(), role) + 1 }
