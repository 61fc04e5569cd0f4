package sim

import (
	"net/http"
	"slices"
	"strings"
)

// access is who may call a route.
type access int

const (
	open     access = iota // without a token too
	anyToken               // any live token
	admin                  // the role Admin
)

// route is one call of the API: what the router serves, what a fault names,
// and what the OpenAPI document lists.
type route struct {
	method, path string
	summary      string
	access       access
	query        []field
	body         []field
	// also are the statuses that the handler answers with beside those that
	// access, query and body imply.
	also   []int
	handle func(*call) (answer, error)
}

// name is how counts and faults call it: "PUT /user-tokens/{id}".
func (rt route) name() string { return rt.method + " " + rt.path }

// routes is the documented API.
func routes() []route {
	return []route{
		{"GET", "/status", "How the instance is", open, nil, nil, nil, getStatus},
		{"GET", "/health", "How the instance is (guess)", open, nil, nil, nil, getStatus},
		{"GET", "/openapi.json", "This document", anyToken, nil, nil, nil, getOpenAPI},
		{"GET", "/users/me", "Who the token belongs to (guess)", anyToken, nil, nil, nil, getMe},
		{"GET", "/users", "List users and service accounts", admin, userQuery, nil, nil, listUsers},
		{"POST", "/users", "Create a service account", admin, nil, userBody, []int{409}, createUser},
		{"GET", "/users/listing", "List users, older form", admin, listingQuery, nil, nil, listingUsers},
		{"GET", "/users/{id}", "Read a user", admin, nil, nil, []int{404}, getUser},
		{"PUT", "/users/{id}", "Set role, teams, active (guess)", admin, nil, userUpdate, []int{404}, updateUser},
		{"GET", "/teams", "List teams", anyToken, pageQuery, nil, nil, listTeams},
		{"GET", "/teams/{id}", "Read a team", anyToken, nil, nil, []int{404}, getTeam},
		{"GET", "/user-tokens", "List the caller's own tokens", anyToken, nil, nil, nil, listOwnTokens},
		{"POST", "/user-tokens", "Create a service token", admin, nil, tokenBody, []int{404, 409}, createToken},
		{"GET", "/user-tokens/service", "List every service token", admin, nil, nil, nil, listServiceTokens},
		{"PUT", "/user-tokens/{id}", "Revoke or restore a token", admin, nil, tokenUpdate, []int{404}, updateToken},
		{"DELETE", "/user-tokens/{id}", "Delete a revoked token", admin, nil, nil, []int{404, 409}, deleteToken},
		{"GET", scimBase + "ServiceProviderConfig", "What the SCIM server can do", anyToken, nil, nil, nil, getSCIM},
	}
}

// newMux routes the table, and answers 405 and 404 as JSON too.
func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	allowed := map[string][]string{}
	for _, rt := range s.routes {
		mux.Handle(rt.name(), s.handler(rt))
		allowed[rt.path] = append(allowed[rt.path], rt.method)
	}
	for path, methods := range allowed {
		header := http.Header{"Allow": {strings.Join(methods, ", ")}}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if !slices.Contains(methods, method) {
				mux.Handle(method+" "+path, s.handler(route{method: method, path: path, handle: notAllowed(header)}))
			}
		}
	}
	mux.Handle("/", s.handler(route{method: "ANY", path: "/", handle: func(*call) (answer, error) {
		return answer{}, refuse(http.StatusNotFound, "Not Found")
	}}))
	return mux
}

// notAllowed answers a known path with an unknown method.
func notAllowed(header http.Header) func(*call) (answer, error) {
	return func(*call) (answer, error) {
		a := failed(refuse(http.StatusMethodNotAllowed, "Method Not Allowed"))
		a.header = header.Clone()
		return a, nil
	}
}

// getStatus answers /status and /health. What they hold is a guess.
func getStatus(*call) (answer, error) {
	return ok(map[string]string{"status": "ok", "version": "simulator"})
}
