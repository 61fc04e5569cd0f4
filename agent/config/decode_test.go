package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

// odd has what the drivers of the other tests have not.
type odd struct {
	oddInner
	Count   int             `yaml:"count" default:"7" doc:"a number"`
	On      bool            `yaml:"on" default:"true" doc:"a switch"`
	Wait    time.Duration   `yaml:"wait" default:"1d" doc:"a while"`
	Choice  string          `yaml:"choice" enum:"a|b" doc:"a choice"`
	Lines   []time.Duration `yaml:"lines" doc:"several"`
	Maybe   *int            `yaml:"maybe" doc:"a number or none"`
	Strange complex128      `yaml:"strange" doc:"no declaration can hold it"`
	Nested  struct {
		Deep string `yaml:"deep" default:"down" doc:"a text"`
		Must string `yaml:"must" required:"true" doc:"needed where nested is given"`
	} `yaml:"nested" doc:"more"`
	Untagged string
	hidden   string
}

type oddInner struct {
	Inner string `yaml:"inner" default:"in" doc:"of an embedded struct"`
}

type oddTarget struct {
	Mode int `yaml:"mode" doc:"another kind of mode"`
}

func oddRegistry(t *testing.T, options *odd) backends.Registry {
	t.Helper()
	registry := fakeRegistry(t)
	registry["odd"] = backends.Driver{
		Type: "odd", Options: func() any { return options }, TargetOptions: func() any { return &oddTarget{} },
		Properties: func(any) backends.Properties { return backends.Properties{Metadata: true} },
	}
	registry["third"] = backends.Driver{
		Type: "third", Options: func() any { return &fakeBare{} },
		TargetOptions: func() any {
			return &struct {
				Mode bool `yaml:"mode" doc:"a third kind"`
			}{}
		},
	}
	return registry
}

func withOdd(entries string) []byte {
	return []byte(strings.Replace(small, "backends: {", "backends: {o: {type: odd, "+entries+"}, ", 1))
}

func TestOptionTypes(t *testing.T) {
	var got odd
	if _, err := Parse("a", withOdd("lines: [1d, 2h], maybe: 0600"), oddRegistry(t, &got), fakeEnv); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s %d %t %v %q %v %d %s", got.Inner, got.Count, got.On, got.Wait, got.Choice, got.Lines, *got.Maybe, got.Nested.Deep)
	if want := `in 7 true 24h0m0s "" [24h0m0s 2h0m0s] 384 down`; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if got.hidden != "" || got.Untagged != "" {
		t.Error("a field without a key was filled")
	}
}

func TestOptionMistakes(t *testing.T) {
	for entries, want := range map[string]string{
		"count: 9223372036854775808":           `"count" is not a whole number that fits`,
		"count: 1.5":                           `"count" must be a whole number, not one with a fraction or so many digits`,
		"on: maybe":                            `"on" must be true or false, not text`,
		"on: yes":                              `"on" must be true or false, not text`,
		"wait: 3":                              `"wait" must be a duration with a unit, such as 7d or 12h, not a number`,
		"wait: soon":                           `"wait": "soon" is not a duration: ` + errDuration.Error(),
		"choice: c":                            `"choice" can't be "c"; choose one of a, b`,
		"lines: [1d, x]":                       `"lines[1]": "x" is not a duration: ` + errDuration.Error(),
		"lines: [[1d]]":                        `"lines[0]" must be a duration with a unit, such as 7d or 12h, not a list`,
		"maybe: text":                          `"maybe" must be a whole number, not text`,
		"maybe: ":                              `"maybe" has no value; give it one, or leave the key out`,
		"nested: {deep: x}":                    `the key "must" is missing (needed where nested is given); add it`,
		"strange: x":                           `"strange" has a type that declarations can't hold (complex128)`,
		"untagged: x":                          `unknown key "untagged"; the keys here are choice, count, inner, lines, maybe, nested, on, strange, type, wait`,
		"count: !!binary aGVsbG8=":             `"count" must be a whole number, not a value with the tag !!binary`,
		`<<: [{count: 1}, {count: []}], on: 1`: `"on" must be true or false, not a number`,
	} {
		_, err := Parse("a", withOdd(entries), oddRegistry(t, &odd{}), fakeEnv)
		var failed *Errors
		if !errors.As(err, &failed) || len(failed.Problems) != 1 || failed.Problems[0].Message != want {
			t.Errorf("%s:\n got %v\nwant %s", entries, err, want)
		}
	}
}

// TestProblemsKnowTheirKeys: the path of keys is for programs.
func TestProblemsKnowTheirKeys(t *testing.T) {
	text := strings.NewReplacer("role: Editor", "role: Boss", "format: token", "format: tocken", "id: acme-prod", "id: A").Replace(small)
	_, err := parse(t, text)
	var failed *Errors
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range failed.Problems {
		keys = append(keys, p.Key)
	}
	if got, want := strings.Join(keys, " "), "agent.id accounts[0].role accounts[0].tokens[0].deliver[0].format"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSchemaOfCollidingKeys: drivers may mean different things by one key of a
// target; the schema can't follow the backend's name.
func TestSchemaOfCollidingKeys(t *testing.T) {
	text, err := Schema(oddRegistry(t, &odd{}))
	if err != nil {
		t.Fatal(err)
	}
	type mapping struct {
		Properties map[string]json.RawMessage
		Items      json.RawMessage
		AnyOf      []struct{ Type string }
	}
	var root struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	at := root.Defs["agent"]
	var mode mapping
	for _, key := range []string{"accounts", "", "tokens", "", "deliver", "", "mode", "."} {
		mode = mapping{}
		if err := json.Unmarshal(at, &mode); err != nil {
			t.Fatalf("at %q: %v", key, err)
		}
		if at = mode.Items; key != "" {
			at = mode.Properties[key]
		}
	}
	var types []string
	for _, one := range mode.AnyOf {
		types = append(types, one.Type)
	}
	if got := strings.Join(types, " "); got != "string integer boolean" {
		t.Errorf("mode may be %q", got)
	}
}

// TestParserPanic: yaml.v3 has panics of its own; one must not end the agent.
func TestParserPanic(t *testing.T) {
	_, err := nextDocument(nil)
	if err == nil || !strings.Contains(err.Error(), "the YAML parser gave up") {
		t.Errorf("got %v", err)
	}
}
