package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/handover-agent/handover/rotation"
)

// described are the schemas of docs/openapi.yaml.
func described(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	text, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
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
	schemas := jsonschema.NewCompiler()
	schemas.AssertFormat()
	if err := schemas.AddResource("openapi.json", resource); err != nil {
		t.Fatal(err)
	}
	return schemas
}

// asDescribed validates what an agent answers.
func asDescribed(t *testing.T, schemas *jsonschema.Compiler, name string, answer any, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := schemas.Compile("openapi.json#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// What a living agent answers is as the control API's document says, at its start,
// at rest, in an emergency and after it.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	schemas := described(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneStore, twoSlots)
		a := w.agent()
		look := func() {
			t.Helper()
			doc, err := a.Status(t.Context())
			asDescribed(t, schemas, "Document", doc, err)
			found, err := a.Emergencies(t.Context(), []string{pipelineSlot, gateSlot, "typo/x"})
			asDescribed(t, schemas, "Emergencies", found, err)
			tokens, err := a.Tokens(t.Context(), "gate@service")
			asDescribed(t, schemas, "Tokens", tokens, err)
		}
		look()
		w.drive(a)
		later(time.Second)
		look()
		w.ask(a, rotation.RequestPause, pipelineSlot)
		emergency := w.ask(a, rotation.RequestEmergency, gateSlot)
		look()
		later(time.Minute)
		w.ask(a, rotation.RequestRevoke, pipelineSlot)
		later(time.Minute)
		look()
		closed, err := a.Request(t.Context(), emergency.ID)
		asDescribed(t, schemas, "Request", closed, err)
		w.edit(gate, "")
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.ask(a, rotation.RequestRevoke, gateSlot)
		later(time.Second)
		look()
	})
}
