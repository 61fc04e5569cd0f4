package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/handover-agent/handover/agent/control"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

// openAPI is docs/openapi.yaml, as far as it is used. The whole of it is read
// strictly: a key that isn't here, and isn't OpenAPI's, is a mistake.
type openAPI struct {
	OpenAPI    string                `json:"openapi"`
	Info       any                   `json:"info"`
	Servers    []any                 `json:"servers"`
	Security   []any                 `json:"security"`
	Tags       []any                 `json:"tags"`
	Paths      map[string]operations `json:"paths"`
	Components struct {
		Responses map[string]answers        `json:"responses"`
		Schemas   map[string]map[string]any `json:"schemas"`
	} `json:"components"`

	schemas *jsonschema.Compiler
}

// operations are those of one path, by method.
type operations map[string]operation

type operation struct {
	OperationID string   `json:"operationId"`
	Tags        []string `json:"tags"`
	Summary     string   `json:"summary"`
	Parameters  []struct {
		Name        string `json:"name"`
		In          string `json:"in"`
		Required    bool   `json:"required"`
		Explode     bool   `json:"explode"`
		Description string `json:"description"`
		Schema      any    `json:"schema"`
	} `json:"parameters"`
	RequestBody *struct {
		Required bool    `json:"required"`
		Content  content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]answers `json:"responses"`
}

type answers struct {
	Ref         string  `json:"$ref"`
	Description string  `json:"description"`
	Content     content `json:"content"`
}

type content struct {
	JSON struct {
		Schema struct {
			Ref string `json:"$ref"`
		} `json:"schema"`
		Example any `json:"example"`
	} `json:"application/json"`
}

func readOpenAPI(t *testing.T) *openAPI {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc := new(openAPI)
	if err := yaml.UnmarshalStrict(text, doc); err != nil {
		t.Fatal(err)
	}
	whole, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	doc.schemas = jsonschema.NewCompiler() // OpenAPI 3.1's dialect: draft 2020-12
	doc.schemas.AssertFormat()
	if err := doc.schemas.AddResource("openapi.json", resource); err != nil {
		t.Fatal(err)
	}
	return doc
}

// check validates a JSON text against the schema that a reference names.
func (d *openAPI) check(t *testing.T, what, ref string, text []byte) {
	t.Helper()
	schema, err := d.schemas.Compile("openapi.json" + ref)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
	}
}

// The document has every call of the protocol, and no other.
func TestOpenAPIHasEveryCall(t *testing.T) {
	doc := readOpenAPI(t)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("it is of version %q", doc.OpenAPI)
	}
	var told []string
	for path, calls := range doc.Paths {
		for method, c := range calls {
			told = append(told, strings.ToUpper(method)+" "+path)
			if c.OperationID == "" || c.Summary == "" || len(c.Tags) != 1 || len(c.Responses) < 2 {
				t.Errorf("%s %s: an operation has an id, a summary, a tag, and answers", method, path)
			}
			if c.RequestBody != nil && c.RequestBody.Content.JSON.Example != nil {
				text, err := json.Marshal(c.RequestBody.Content.JSON.Example)
				if err != nil {
					t.Fatal(err)
				}
				doc.check(t, "the example of "+path, c.RequestBody.Content.JSON.Schema.Ref, text)
			}
		}
	}
	known := control.Protocol()
	slices.Sort(told)
	slices.Sort(known)
	if !slices.Equal(told, known) {
		t.Errorf("the document has %q, the protocol %q", told, known)
	}
}

// bodies are all types that go over the socket, by schema.
func bodies() map[string]any {
	all := map[string]any{"Request": rotation.Request{}, "Emergencies": report.Emergencies{}, "EmergencyReport": rotation.EmergencyReport{},
		"RevokedToken": rotation.RevokedToken{}, "AliveToken": rotation.AliveToken{}, "EmergencyTarget": rotation.EmergencyTarget{},
		"Tokens": report.Tokens{}, "Token": report.Token{}, "Pruned": rotation.Pruned{}, "Mark": rotation.Mark{}, "Document": report.Document{},
		"Held": report.Held{}, "Declaration": report.Declaration{}, "PauseStatus": rotation.PauseStatus{}, "Status": rotation.Status{},
		"TargetStatus": rotation.TargetStatus{}, "RetiredStatus": rotation.RetiredStatus{}, "HookStatus": rotation.HookStatus{}, "Credential": report.Credential{}}
	maps.Copy(all, control.Bodies())
	return all
}

// asked are the schemas of what a caller sends: what isn't required there has a
// zero value.
var asked = []string{"Orders", "Order", "Scope", "Pruning", "Mark"}

// The document has every key of every body, and no other, and says which are
// always there.
func TestOpenAPIHasEveryKey(t *testing.T) {
	doc := readOpenAPI(t)
	known := bodies()
	for name, schema := range doc.Components.Schemas {
		body, ok := known[name]
		if !ok {
			t.Errorf("there is no body %s", name)
			continue
		}
		delete(known, name)
		var keys, always []string
		for i := range reflect.TypeOf(body).NumField() {
			key, more, _ := strings.Cut(reflect.TypeOf(body).Field(i).Tag.Get("json"), ",")
			keys = append(keys, key)
			if !strings.Contains(more, "omit") {
				always = append(always, key)
			}
		}
		if described := slices.Sorted(maps.Keys(schema["properties"].(map[string]any))); !slices.Equal(described, slices.Sorted(slices.Values(keys))) {
			t.Errorf("%s has the keys %q, it has %q", name, described, keys)
		}
		var required []string
		if list, ok := schema["required"].([]any); ok {
			for _, key := range list {
				required = append(required, key.(string))
			}
		}
		if !slices.Equal(required, always) && !slices.Contains(asked, name) {
			t.Errorf("%s requires %q, always there are %q", name, required, always)
		}
		if schema["additionalProperties"] != false || schema["description"] == "" {
			t.Errorf("%s takes other keys, or isn't described", name)
		}
	}
	for name := range known {
		t.Errorf("the document lacks %s", name)
	}
}

// filled is a value of which nothing is zero.
func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(began))
		return
	case rotation.RequestKind:
		v.SetString(string(rotation.RequestPause))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("a/b")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// loud is a Handler that tells all that there is to tell.
type loud struct{ agent }

func (l *loud) Request(context.Context, int64) (rotation.Request, error) {
	return filled[rotation.Request](), nil
}

func (l *loud) Emergencies(context.Context, []string) (report.Emergencies, error) {
	return filled[report.Emergencies](), nil
}

func (l *loud) Tokens(context.Context, string) (report.Tokens, error) {
	return filled[report.Tokens](), nil
}

func (l *loud) Status(context.Context) (report.Document, error) {
	return filled[report.Document](), nil
}

// witness checks all that goes over a socket against the document.
type witness struct {
	t    *testing.T
	doc  *openAPI
	next http.RoundTripper
	// met are the operations and statuses that were seen.
	met map[string]bool
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if _, err := strconv.Atoi(path[strings.LastIndex(path, "/")+1:]); err == nil {
		path = path[:strings.LastIndex(path, "/")] + "/{id}"
	}
	c, known := w.doc.Paths[path][strings.ToLower(r.Method)]
	if !known {
		w.t.Errorf("%s %s isn't in the document", r.Method, path)
		return w.next.RoundTrip(r)
	}
	w.query(c, r)
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := w.next.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	got, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(got))
	if err != nil {
		return answer, err
	}
	w.met[c.OperationID+" "+strconv.Itoa(answer.StatusCode)] = true
	as, exact := c.Responses[strconv.Itoa(answer.StatusCode)]
	if !exact {
		as = w.doc.Components.Responses[strings.TrimPrefix(c.Responses["default"].Ref, "#/components/responses/")]
	}
	if exact != (answer.StatusCode < 400) {
		w.t.Errorf("%s answers with %d", c.OperationID, answer.StatusCode)
	}
	w.doc.check(w.t, "the answer of "+c.OperationID, as.Content.JSON.Schema.Ref, got)
	if exact && (c.RequestBody != nil) != (sent != nil) {
		w.t.Errorf("%s takes a body: %v", c.OperationID, sent != nil)
	}
	if exact && sent != nil {
		w.doc.check(w.t, "the body of "+c.OperationID, c.RequestBody.Content.JSON.Schema.Ref, sent)
	}
	return answer, nil
}

// query wants the parameters that are declared, and no others.
func (w *witness) query(c operation, r *http.Request) {
	given := r.URL.Query()
	for _, p := range c.Parameters {
		if p.In == "query" {
			if p.Required && !given.Has(p.Name) {
				w.t.Errorf("%s lacks %s", c.OperationID, p.Name)
			}
			given.Del(p.Name)
		}
	}
	if len(given) > 0 {
		w.t.Errorf("%s has %v", c.OperationID, given)
	}
}

// What a client sends and the server answers is as the document says: with all
// that there can be, with as little as there can be, and refused.
func TestOpenAPIHoldsForRealCalls(t *testing.T) {
	w := &witness{t: t, doc: readOpenAPI(t), met: map[string]bool{}}
	for _, handler := range []control.Handler{&loud{}, &agent{stored: []rotation.Request{{ID: 1, Kind: rotation.RequestRotate, Slot: "a/b", Actor: "uid 0", At: began}}},
		&agent{fails: errDisk}} {
		client := control.Dial(serve(t, handler).path)
		client.Through(func(next http.RoundTripper) http.RoundTripper {
			w.next = next
			return w
		})
		everyCall(t, client)
	}
	for path, calls := range w.doc.Paths {
		for _, c := range calls {
			good := "200"
			if c.OperationID == "submit" {
				good = "201"
			}
			if !w.met[c.OperationID+" "+good] {
				t.Errorf("%s was never answered with %s", path, good)
			}
		}
	}
	for _, refusal := range []string{"submit 400", "submit 404", "submit 500", "status 500", "prune 500"} {
		if !w.met[refusal] {
			t.Errorf("none was answered with %s", refusal)
		}
	}
}

// everyCall makes each call, and some that are refused.
func everyCall(t *testing.T, client *control.Client) {
	t.Helper()
	order := filled[rotation.Request]()
	order.RevokeFirst, order.Deadline, order.TokenID = false, 0, 0
	emergency := filled[rotation.Request]()
	emergency.Kind = rotation.RequestEmergency
	bare := rotation.Request{Kind: rotation.RequestRotate, Slot: "a/b"}
	unknown := rotation.Request{Kind: rotation.RequestRotate, Slot: "missing/x"}
	ctx := t.Context()
	for _, list := range [][]rotation.Request{{order, emergency, bare}, {unknown}, {{Kind: "obey", Slot: "a/b"}}} {
		_, err := client.Submit(ctx, list)
		wantAnswer(t, err)
	}
	_, err := client.Request(ctx, 1)
	wantAnswer(t, err)
	_, err = client.EndPauses(ctx, "*", "")
	wantAnswer(t, err)
	_, err = client.Emergencies(ctx, []string{"a/b", "calm"})
	wantAnswer(t, err)
	_, err = client.Tokens(ctx, "a@service")
	wantAnswer(t, err)
	_, err = client.Prune(ctx, rotation.Pruning{Before: began, From: rotation.Mark{At: "x", ID: 7}, Deleted: 3})
	wantAnswer(t, err)
	_, err = client.Status(ctx)
	wantAnswer(t, err)
}

// wantAnswer takes a refusal for an answer.
func wantAnswer(t *testing.T, err error) {
	t.Helper()
	var refused *control.Error
	if err != nil && !errors.As(err, &refused) {
		t.Errorf("no answer: %v", err)
	}
}
