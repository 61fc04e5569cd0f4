package qualytics

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

func TestStatusAndHealth(t *testing.T) {
	for _, name := range []string{"Status", "Health"} {
		c, s := scripted(t, say(200, `{"status": "ok"}`), say(404, ""), say(200, "<html>"))
		for _, want := range []error{nil, rotation.ErrMissing, rotation.ErrInvalidAnswer} {
			if err := callOf(name)(t.Context(), c); !errors.Is(err, want) {
				t.Errorf("%s: err = %v, want %v", name, err, want)
			}
		}
		path := map[string]string{"Status": "/api/status", "Health": "/api/health"}[name]
		if got := s.sent()[0]; got.path != path || got.bearer != "" {
			t.Errorf("%s: asked %s, with a bearer: %v", name, got.path, got.bearer != "")
		}
	}
}

func TestOpenAPI(t *testing.T) {
	c, s := scripted(t, say(200, `{"openapi": "3.1.0", "info": {"title": "Qualytics", "version": "1.2"}, "paths": {
		"/api/users": {"get": {}, "post": {}}, "/api/users/{user_id}": {"put": {}}, "/user-tokens/": {"post": {}},
		"/api/user-tokens/service": {"get": {}}, "/api/user-tokens/{token_id}": {"put": {}}}}`))
	doc, err := c.OpenAPI(t.Context())
	if err != nil || doc.Title != "Qualytics" || doc.Version != "1.2" || s.sent()[0].path != "/api/openapi.json" {
		t.Errorf("%+v, %v", doc, err)
	}
	want := []string{
		"GET /user-tokens/service", "GET /users", "POST /user-tokens", "POST /users", "PUT /user-tokens/{}", "PUT /users/{}",
	}
	if diff := cmp.Diff(want, doc.Calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"DELETE /user-tokens/{}"}, doc.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(needed(), (Document{}).Missing()); diff != "" {
		t.Errorf("missing of nothing (-want +got):\n%s", diff)
	}
	older := Document{Calls: []string{"GET /users/listing"}}
	if len(older.Missing()) != len(needed())-1 {
		t.Errorf("with the older listing: %v", older.Missing())
	}
}

func TestOpenAPINonsense(t *testing.T) {
	for _, body := range []string{`{}`, `{"paths": null}`, `{"paths": []}`, `{"paths": {"/x": 5}}`, `[]`} {
		c, _ := scripted(t, say(200, body))
		if _, err := c.OpenAPI(t.Context()); !errors.Is(err, rotation.ErrInvalidAnswer) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
