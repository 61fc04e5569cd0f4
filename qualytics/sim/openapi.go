package sim

import (
	"net/http"
	"strconv"
	"strings"
)

// getOpenAPI answers the OpenAPI 3 document. It is made from the same table
// that routes and checks requests, so it lists what is served and no more;
// answers are described by status alone.
func getOpenAPI(c *call) (answer, error) {
	paths := map[string]map[string]any{}
	for _, rt := range c.s.routes {
		path := "/api" + rt.path
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(rt.method)] = rt.operation()
	}
	return ok(map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]string{"title": "Qualytics, simulated", "version": "simulator"},
		"paths":   paths,
		"components": map[string]any{"securitySchemes": map[string]any{
			"bearer": map[string]string{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
		}},
	})
}

// operation describes one route.
func (rt route) operation() map[string]any {
	op := map[string]any{"summary": rt.summary, "responses": rt.responses()}
	if rt.access != open {
		op["security"] = []any{map[string]any{"bearer": []string{}}}
	}
	var parameters []any
	if strings.Contains(rt.path, "{id}") {
		parameters = append(parameters, map[string]any{
			"name": "id", "in": "path", "required": true, "schema": map[string]any{"type": "integer"},
		})
	}
	for _, f := range rt.query {
		parameters = append(parameters, map[string]any{
			"name": f.name, "in": "query", "required": false, "schema": f.schema(),
		})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if rt.body != nil {
		op["requestBody"] = map[string]any{
			"required": true,
			"content":  map[string]any{"application/json": map[string]any{"schema": object(rt.body)}},
		}
	}
	return op
}

// responses lists the statuses that the route can answer with.
func (rt route) responses() map[string]any {
	codes := []int{http.StatusOK}
	if rt.method == http.MethodDelete {
		codes[0] = http.StatusNoContent
	}
	if rt.access != open {
		codes = append(codes, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(rt.path, "{id}") || rt.body != nil || rt.query != nil {
		codes = append(codes, http.StatusUnprocessableEntity)
	}
	codes = append(codes, rt.also...)
	out := map[string]any{}
	for _, code := range codes {
		out[strconv.Itoa(code)] = map[string]string{"description": http.StatusText(code)}
	}
	return out
}

// object is the schema of a body.
func object(fields []field) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		properties[f.name] = f.schema()
		if f.required {
			required = append(required, f.name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// schema is the JSON Schema of one field.
func (f field) schema() map[string]any {
	s := map[string]any{"type": string(f.kind)}
	lower, upper := "minimum", "maximum"
	switch f.kind {
	case text:
		lower, upper = "minLength", "maxLength"
	case texts:
		s["items"] = map[string]string{"type": "string"}
	}
	if f.min != 0 {
		s[lower] = f.min
	}
	if f.max != 0 {
		s[upper] = f.max
	}
	var enum []any
	for _, allowed := range f.enum {
		enum = append(enum, allowed)
	}
	if f.nullable {
		s["type"] = []string{string(f.kind), "null"}
		enum = append(enum, nil)
	}
	if f.enum != nil {
		s["enum"] = enum
	}
	return s
}
