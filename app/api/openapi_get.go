package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"arus/app/auth"
	"arus/app/model"
)

// openAPIGet is the description of the API, made from the route table. It has no
// envelope.
func openAPIGet(c *call) (any, error) {
	writeJSON(c.w, 200, describe(slices.Concat(routes(), tableRoutes()), c.Version))
	return written{}, nil
}

type object = map[string]any

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// describe makes the OpenAPI 3.1 document of the routes.
func describe(table []route, version string) object {
	d := describer{schemas: object{}, named: map[reflect.Type]string{}}
	paths := object{}
	for _, rt := range table {
		item, ok := paths[rt.path].(object)
		if !ok {
			item = object{}
			paths[rt.path] = item
		}
		item[strings.ToLower(rt.method)] = d.operation(rt)
	}
	d.schemas["ErrorAnswer"] = object{
		"type": "object", "required": []string{"status", "error"},
		"properties": object{"status": object{"const": "error"}, "error": d.schema(reflect.TypeFor[Error]())},
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "Arus", "version": version, "description": "Copies tables from databases into an analytics destination."},
		"paths":   paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"bearer": object{"type": "http", "scheme": "bearer", "description": "An API token, or the access token of a sign-in"},
				"cookie": object{"type": "apiKey", "in": "cookie", "name": CookieName},
			},
		},
	}
}

// describer gathers the schemas of Go types, each once.
type describer struct {
	schemas object
	named   map[reflect.Type]string
}

func (d *describer) operation(rt route) object {
	params := []object{}
	for _, m := range pathParam.FindAllStringSubmatch(rt.path, -1) {
		param := object{"type": "string"}
		if enveloped(rt) {
			param["format"] = "uuid"
		}
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": param})
	}
	for name := range strings.FieldsSeq(rt.query) {
		params = append(params, object{"name": name, "in": "query", "schema": querySchema(name)})
	}
	op := object{
		"operationId": operationID(rt), "summary": rt.summary, "parameters": params, "tags": []string{tag(rt)},
		"responses": d.responses(rt),
	}
	if rt.needs != auth.Public {
		op["security"] = []object{{"bearer": []string{}}, {"cookie": []string{}}}
		op["x-permission"], op["x-role"] = string(rt.needs), string(auth.Needs(rt.needs))
	} else {
		op["security"] = []object{}
	}
	if rt.in != nil {
		op["requestBody"] = object{"content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(rt.in))}}}
	}
	return op
}

func querySchema(name string) object {
	switch name {
	case "limit":
		return object{"type": "integer", "minimum": 1}
	case "offset":
		return object{"type": "integer", "minimum": 0}
	case "days":
		return object{"type": "integer", "minimum": 1, "maximum": 30}
	case "wait", "add", "prune", "open", "plan":
		return object{"type": "boolean"}
	}
	return object{"type": "string"}
}

// enveloped says whether a route's answers are those of /api; the others are for
// clients of AresDB.
func enveloped(rt route) bool { return strings.HasPrefix(rt.path, "/api/") }

func tag(rt route) string {
	parts := strings.Split(rt.path, "/")
	if enveloped(rt) {
		return parts[2]
	}
	return parts[1]
}

func (d *describer) responses(rt route) object {
	if !enveloped(rt) {
		ok := object{"description": "done"}
		if rt.out != nil {
			ok["content"] = object{"application/json": object{"schema": d.schema(reflect.TypeOf(rt.out))}}
		}
		return object{"200": ok, "default": object{
			"description": "an error", "content": object{"application/json": object{"schema": d.schema(reflect.TypeFor[fault]())}},
		}}
	}
	ok := object{"description": "done"}
	if rt.out != nil {
		ok["content"] = object{"application/json": object{"schema": object{
			"type": "object", "required": []string{"status", "data"},
			"properties": object{"status": object{"const": "ok"}, "data": d.schema(reflect.TypeOf(rt.out))},
		}}}
	}
	status := "200"
	switch {
	case rt.method == "POST" && (strings.HasSuffix(operationID(rt), "Create") || rt.path == "/api/auth/setup"):
		status = "201"
	case strings.Contains(rt.query, "wait"):
		status = "202"
	}
	out := object{status: ok, "default": object{
		"description": "an error", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/ErrorAnswer"}}},
	}}
	if status == "202" {
		out["200"] = ok
	}
	return out
}

// operationID is the name of the handler.
func operationID(rt route) string {
	name := funcName(rt.handler)
	if rt.method == "PUT" && rt.path == "/api/auth/users/{id}" {
		name += "Put" // the same as PATCH
	}
	return name
}

// enums are the texts of which there are only a few.
func enums() map[reflect.Type][]string {
	return map[reflect.Type][]string{
		reflect.TypeFor[model.Role]():           texts(model.Roles()),
		reflect.TypeFor[model.SourceType]():     texts(model.SourceTypes()),
		reflect.TypeFor[model.SyncMethod]():     texts(model.SyncMethods()),
		reflect.TypeFor[model.SyncMode]():       texts(model.SyncModes()),
		reflect.TypeFor[model.LoadMode]():       texts(model.LoadModes()),
		reflect.TypeFor[model.PipelineStatus](): texts(model.PipelineStatuses()),
		reflect.TypeFor[model.RunStatus]():      append(texts(model.RunStatuses()), string(model.RunQueued)),
		reflect.TypeFor[model.TriggerType]():    texts(model.TriggerTypes()),
		reflect.TypeFor[model.TargetType]():     texts(model.TargetTypes()),
		reflect.TypeFor[model.NotifyEvent]():    texts(model.NotifyEvents()),
	}
}

func texts[T ~string](list []T) []string {
	return convert(list, func(t T) string { return string(t) })
}

func (d *describer) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if values, ok := enums()[t]; ok {
		return object{"type": "string", "enum": values}
	}
	switch t.Kind() {
	case reflect.Pointer:
		inner := d.schema(t.Elem())
		return object{"anyOf": []object{inner, {"type": "null"}}}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return d.reference(t)
	}
	return object{"type": "integer"}
}

// reference refers to a struct's schema, which is made on first sight.
func (d *describer) reference(t reflect.Type) object {
	name, ok := d.named[t]
	if !ok {
		name = string(unicode.ToUpper(rune(t.Name()[0]))) + t.Name()[1:]
		if _, taken := d.schemas[name]; taken {
			name = fmt.Sprintf("%s%d", name, len(d.named))
		}
		d.named[t] = name
		d.schemas[name] = object{} // so that a type that holds itself ends
		properties := object{}
		for _, f := range reflect.VisibleFields(t) {
			field, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if field == "" || field == "-" || !f.IsExported() {
				continue
			}
			properties[field] = d.schema(f.Type)
		}
		d.schemas[name] = object{"type": "object", "properties": properties}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// funcName is the name of a handler, without its package.
func funcName(fn func(*call) (any, error)) string {
	name := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}
