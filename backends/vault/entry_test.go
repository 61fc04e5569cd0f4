package vault

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// throughVault is what an entry looks like after Vault kept it: a map.
func throughVault(t rapid.TB, fields map[string]string) map[string]any {
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]any
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		fields        map[string]string
		how           layout
	}{
		{"text", "abc", map[string]string{"value": "abc"}, `"value"`},
		{"object", `{"b":"1","a":"2"}`, map[string]string{"a": "2", "b": "1"}, `["b","a"]`},
		{"object with one field", `{"value":"1"}`, map[string]string{"value": "1"}, `["value"]`},
		{"empty object", `{}`, map[string]string{"value": `{}`}, `"value"`},
		{"name twice", `{"a":"1","a":"1"}`, map[string]string{"value": `{"a":"1","a":"1"}`}, `"value"`},
		{"number", `{"a":1}`, map[string]string{"value": `{"a":1}`}, `"value"`},
		{"spaces", `{"a": "1"}`, map[string]string{"value": `{"a": "1"}`}, `"value"`},
		{"newline at the end", "{\"a\":\"1\"}\n", map[string]string{"value": "{\"a\":\"1\"}\n"}, `"value"`},
		{"two objects", `{"a":"1"}{"b":"2"}`, map[string]string{"value": `{"a":"1"}{"b":"2"}`}, `"value"`},
		{"cut object", `{"a":"1"`, map[string]string{"value": `{"a":"1"`}, `"value"`},
		{"other escapes", `{"a":"\u0041"}`, map[string]string{"value": `{"a":"\u0041"}`}, `"value"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields, how, err := encode(secret.New(c.payload), "value")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" || how != c.how {
				t.Errorf("layout %s, want %s; fields (-want +got):\n%s", how, c.how, diff)
			}
		})
	}
	if _, _, err := encode(secret.New("a\xff"), "value"); err == nil {
		t.Error("bytes that are no text were taken")
	}
	long := `{"` + strings.Repeat("n", maxMetadataValue) + `":"v"}`
	if fields, _, err := encode(secret.New(long), "value"); err != nil || fields["value"] != long {
		t.Errorf("an object whose layout can't be recorded: %v", err)
	}
}

// TestEntryComesBack: whatever the text, what was laid out is given back byte
// for byte.
func TestEntryComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringN(1, -1, -1),
			rapid.Map(rapid.MapOf(rapid.String(), rapid.String()), func(m map[string]string) string { return quote(m) }),
			rapid.StringMatching(`\{"[a-c]":"[^"\\]{0,5}"(,"[d-f]":"\\u00[0-9a-f]{2}")?\}`),
		).Draw(t, "text")
		key := rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "key")
		fields, how, err := encode(secret.New(text), key)
		if err != nil {
			t.Fatal(err)
		}
		data := throughVault(t, fields)
		if back := decodeEntry(data, key, how).Reveal(); back != text {
			t.Fatalf("%q came back as %q by layout %s", text, back, how)
		}
		if !same(data, merge(data, how, fields)) {
			t.Fatal("the entry is not the one that was written")
		}
	})
}

func TestDecodeWithoutALayout(t *testing.T) {
	for _, c := range []struct {
		name string
		data map[string]any
		how  layout
		want string
	}{
		{"one field of the key", map[string]any{"value": "T"}, "", "T"},
		{"one field of another name", map[string]any{"other": "T"}, "", `{"other":"T"}`},
		{"one field that is no text", map[string]any{"value": json.Number("1.50")}, "", `{"value":1.50}`},
		{"fields", map[string]any{"value": "T", "a": "<&>"}, "", `{"a":"<&>","value":"T"}`},
		{"nested", map[string]any{"a": map[string]any{"z": nil, "b": true}}, "", `{"a":{"b":true,"z":null}}`},
		{"no field", map[string]any{}, "", `{}`},
		{"layout of other fields", map[string]any{"a": "1", "b": "2"}, `["a","c"]`, `{"a":"1","b":"2"}`},
		{"layout beside others' fields", map[string]any{"a": "1", "b": "2", "c": json.Number("3")}, `["b"]`, `{"b":"2"}`},
		{"layout with a name twice", map[string]any{"a": "1", "b": "2"}, `["b","b"]`, `{"a":"1","b":"2"}`},
		{"layout of one other field", map[string]any{"a": "1"}, `"b"`, `{"a":"1"}`},
		{"layout of one field beside others'", map[string]any{"a": "1", "b": "2"}, `"a"`, "1"},
		{"layout of a field that is no text", map[string]any{"a": json.Number("1"), "b": "2"}, `"a"`, `{"a":1,"b":"2"}`},
		{"layout of no field", map[string]any{"a": "1"}, `[]`, `{"a":"1"}`},
		{"layout that is none", map[string]any{"b": "1", "a": "2"}, `{x`, `{"a":"2","b":"1"}`},
		{"layout of another type", map[string]any{"a": "1"}, `7`, `{"a":"1"}`},
		{"layout of one field under another key", map[string]any{"old": "T"}, `"old"`, "T"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := decodeEntry(c.data, "value", c.how).Reveal(); got != c.want {
				t.Errorf("payload %s, want %s", got, c.want)
			}
		})
	}
}

func TestMetadataComesBack(t *testing.T) {
	full := backends.Meta{
		Slot: "a@service/b", Generation: 1<<64 - 1, TokenID: -5, Token: "0123",
		Expires: time.Date(2030, 5, 6, 7, 8, 9, 123, time.FixedZone("x", 3600)),
	}
	inUTC := full
	inUTC.Expires = full.Expires.UTC()
	if diff := cmp.Diff(inUTC, describe(full, 7, `"value"`).meta(7)); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if got := describe(backends.Meta{}, 7, "").with(nil).meta(7); !got.IsZero() {
		t.Errorf("no metadata came back as %+v", got)
	}
	for name, change := range map[string]customMetadata{
		"another version": {metaVersion: "8"},
		"no version":      {metaVersion: ""},
		"generation":      {metaGeneration: "x"},
		"negative":        {metaGeneration: "-1"},
		"token id":        {metaTokenID: ""},
		"expiry":          {metaExpires: "soon"},
		"no expiry":       {metaExpires: ""},
	} {
		if got := describe(full, 7, "").with(change).meta(7); !got.IsZero() {
			t.Errorf("%s: metadata that doesn't fit came back as %+v", name, got)
		}
	}
	if got := (customMetadata)(nil).meta(0); !got.IsZero() {
		t.Errorf("an entry without metadata gave %+v", got)
	}
}

func TestMetadataLeavesOthersAlone(t *testing.T) {
	theirs := customMetadata{"team": "data", metaSlot: "old"}
	got := theirs.with(customMetadata{metaSlot: "", metaGeneration: "2"})
	if diff := cmp.Diff(customMetadata{"team": "data", metaGeneration: "2"}, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if theirs[metaSlot] != "old" {
		t.Error("what was read is changed")
	}
	patch := customMetadata{metaSlot: "", metaGeneration: "2"}.patch()
	if diff := cmp.Diff(map[string]any{metaSlot: nil, metaGeneration: "2"}, patch); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}
