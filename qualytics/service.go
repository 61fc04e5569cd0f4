package qualytics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const maxOpenAPI = 16 << 20

// Status asks GET /status without a token (D): nil when the deployment says
// that it is well, as far as a 2xx with JSON says so (G).
func (c *Client) Status(ctx context.Context) error { return c.ask(ctx, "/status") }

// Health asks GET /health without a token (G: it may not exist).
func (c *Client) Health(ctx context.Context) error { return c.ask(ctx, "/health") }

func (c *Client) ask(ctx context.Context, route string) error {
	return c.do(ctx, &call{class: reads, method: http.MethodGet, route: route, open: true, answer: nothing})
}

// Document is what the deployment says of its own API.
type Document struct {
	Title, Version string
	// Calls are its methods and paths, sorted: "GET /users/{}".
	Calls []string
}

// OpenAPI fetches the deployment's OpenAPI document (D).
func (c *Client) OpenAPI(ctx context.Context) (Document, error) {
	var doc Document
	err := c.do(ctx, &call{
		class: reads, method: http.MethodGet, route: "/openapi.json", max: maxOpenAPI,
		answer: func(r io.Reader) (err error) {
			doc, err = readDocument(r)
			return err
		},
	})
	return doc, err
}

func readDocument(r io.Reader) (Document, error) {
	var wire struct {
		Info struct {
			Title   string `json:"title"`
			Version string `json:"version"`
		} `json:"info"`
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := decode(r, &wire); err != nil {
		return Document{}, err
	}
	if wire.Paths == nil {
		return Document{}, errors.New("it has no paths")
	}
	doc := Document{Title: wire.Info.Title, Version: wire.Info.Version}
	for path, methods := range wire.Paths {
		for method := range methods {
			doc.Calls = append(doc.Calls, strings.ToUpper(method)+" "+plain(path))
		}
	}
	slices.Sort(doc.Calls)
	return doc, nil
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// plain makes paths comparable: without /api in front (G: a document may have
// it or not), a trailing slash, and the names of parameters.
func plain(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/api"), "/")
	return parameter.ReplaceAllString(path, "{}")
}

// needed are the calls that the agent can't work without.
func needed() []string {
	return []string{
		"GET /users", "POST /users", "PUT /users/{}",
		"GET /user-tokens/service", "POST /user-tokens", "PUT /user-tokens/{}", "DELETE /user-tokens/{}",
	}
}

// Missing lists the calls that the agent needs and the document doesn't have,
// as "PUT /users/{}". A deployment with the older GET /users/listing has that
// for GET /users.
func (d Document) Missing() []string {
	var missing []string
	for _, call := range needed() {
		older := call == "GET /users" && slices.Contains(d.Calls, "GET /users/listing")
		if !slices.Contains(d.Calls, call) && !older {
			missing = append(missing, call)
		}
	}
	return missing
}
