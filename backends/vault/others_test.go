package vault

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// shaped is a target whose format looks like the sample.
func shaped(path, sample string) backends.Ref {
	o := &TargetOptions{Key: defaultKey}
	o.Shape(secret.New(sample))
	ref := refOf(path)
	ref.Options = o
	return ref
}

// TestForeignEntryIsTakenOver: the payload's fields are replaced, the others
// stay, and the former entry is at previous.
func TestForeignEntryIsTakenOver(t *testing.T) {
	v, b, mount := onReal(t, "2")
	ref := refOf("foreign")
	overwrite(t, v, mount, ref.Path, map[string]any{"token": "old", "n": 2.5, "list": []any{"<a>", nil}, "password": "p"})
	got, version := mustGet(t, b, ref)
	if want := `{"list":["<a>",null],"n":2.5,"password":"p","token":"old"}`; got.Payload.Reveal() != want {
		t.Errorf("a foreign entry reads %s, want %s", got.Payload.Reveal(), want)
	}
	item := itemOf(`{"url":"u","token":"T"}`, 1)
	v2 := mustPut(t, b, ref, item, version)
	outer, _ := v.Do(t, http.MethodGet, mount+"/data/"+ref.Path, nil)["data"].(map[string]any)
	if want := `{"list":["<a>",null],"n":2.5,"password":"p","token":"T","url":"u"}`; quote(outer["data"]) != want {
		t.Errorf("the entry is %s, want %s", quote(outer["data"]), want)
	}
	if got, now := mustGet(t, b, ref); !got.Payload.Equal(item.Payload) || got.Meta != item.Meta || now != v2 {
		t.Errorf("what was put came back as %s with %+v", got.Payload.Reveal(), got.Meta)
	}
	old, _, err := b.Get(t.Context(), ref, backends.Previous)
	if err != nil || !old.Meta.IsZero() || old.Payload.Equal(item.Payload) {
		t.Errorf("the replaced entry is not at previous: %v", err)
	}
}

// TestOthersFieldsStay: whoever adds, changes or takes away a field of their own
// changes nothing for the agent, in any shape of payload.
func TestOthersFieldsStay(t *testing.T) {
	v := realtest.Vault(t)
	for _, version := range []string{"1", "2"} {
		mount := v.MountKV(t, version)
		b := opened(t, withToken(t, v.Addr, mount, v.Token))
		for _, payload := range []string{"eyJ.a.1", `{"value":"eyJ.a.1"}`, `{"url":"u","token":"eyJ.a.1"}`} {
			ref, item := shaped(realtest.Name(t), payload), itemOf(payload, 1)
			v1 := mustPut(t, b, ref, item, backends.Absent)
			fields := plainOf(t, v, mount, version, ref.Path)
			fields["team"], fields["n"] = "data", 7
			writePlain(t, v, mount, version, ref.Path, fields)

			got, seen := mustGet(t, b, ref)
			if !got.Payload.Equal(item.Payload) || seen == v1 {
				t.Errorf("version %s: beside another field the payload reads %s at %s", version, got.Payload.Reveal(), seen)
			}
			if !got.Meta.IsZero() {
				t.Errorf("version %s: metadata of %s counts for %s", version, v1, seen)
			}
			if again := mustPut(t, b, ref, item, v1); again != seen {
				t.Errorf("version %s: the same payload made version %s after %s", version, again, seen)
			}
			if got, _ := mustGet(t, b, ref); version == "2" && got.Meta != item.Meta {
				t.Errorf("the metadata does not follow to the version of another's hand: %+v", got.Meta)
			}
			next := itemOf(strings.Replace(payload, "a.1", "a.2", 1), 2)
			mustPut(t, b, ref, next, seen)
			if after := plainOf(t, v, mount, version, ref.Path); after["team"] != "data" || len(after) != len(fields) {
				t.Errorf("version %s: the next token left the fields %v", version, after)
			}
			if got, _ := mustGet(t, b, ref); !got.Payload.Equal(next.Payload) {
				t.Errorf("version %s: the next payload reads %s", version, got.Payload.Reveal())
			}
		}
	}
}

// plainOf and writePlain are an entry's fields as another hand sees and sets
// them.
func plainOf(t *testing.T, v *realtest.VaultServer, mount, version, path string) map[string]any {
	t.Helper()
	if version == "2" {
		return entryOf(t, v, mount, path)
	}
	fields, _ := v.Do(t, http.MethodGet, mount+"/"+path, nil)["data"].(map[string]any)
	return fields
}

func writePlain(t *testing.T, v *realtest.VaultServer, mount, version, path string, fields map[string]any) {
	t.Helper()
	if version == "2" {
		overwrite(t, v, mount, path, fields)
		return
	}
	v.Do(t, http.MethodPost, mount+"/"+path, fields)
}

// TestNoFieldOfOthersIsLost: one that comes between the agent's read and its
// write is a conflict, and stays.
func TestNoFieldOfOthersIsLost(t *testing.T) {
	v, b, mount := onReal(t, "2")
	ref := refOf("x")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	read, err := b.read(t.Context(), ref, 0)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, v, mount, ref.Path, map[string]any{"value": "eyJ.a.1", "team": "data"})
	_, err = b.write(t.Context(), ref, merge(read.data, "", map[string]string{"value": "eyJ.a.2"}), read.number)
	if kind := backendKind(err); kind != backends.ErrConflict {
		t.Errorf("a write on top of what was read before is %v, want a conflict", err)
	}
	_, err = b.Put(t.Context(), ref, itemOf("eyJ.a.2", 2), v1)
	wantKind(t, err, backends.ErrConflict)
	if got := entryOf(t, v, mount, ref.Path); got["team"] != "data" || got["value"] != "eyJ.a.1" {
		t.Errorf("the entry is %v", got)
	}
}

// TestAnotherFormatTakesItsFieldsAlong: fields of the former format that the new
// one hasn't are taken out, for their token will die.
func TestAnotherFormatTakesItsFieldsAlong(t *testing.T) {
	v, b, mount := onReal(t, "2")
	ref := refOf("x")
	overwrite(t, v, mount, ref.Path, map[string]any{"team": "data"})
	before := itemOf(`{"token":"T1","url":"u"}`, 1)
	v2 := mustPut(t, b, ref, before, "1")
	after := itemOf(`{"conn_uri":"http://:T1@u"}`, 1)
	v3 := mustPut(t, b, ref, after, v2)
	if diff := cmp.Diff(map[string]any{"conn_uri": "http://:T1@u", "team": "data"}, entryOf(t, v, mount, ref.Path)); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if again := mustPut(t, b, ref, after, v2); again != v3 {
		t.Errorf("the same payload made version %s after %s", again, v3)
	}
	text := itemOf("T1", 1)
	mustPut(t, b, ref, text, v3)
	if diff := cmp.Diff(map[string]any{"value": "T1", "team": "data"}, entryOf(t, v, mount, ref.Path)); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

// TestShapeOfTheFormat: what the declaration says serves where nothing is
// recorded: before the first delivery, and when the metadata is lost.
func TestShapeOfTheFormat(t *testing.T) {
	v, b, mount := onReal(t, "2")
	for _, c := range []struct {
		name, sample string
		entry        map[string]any
		want         string
	}{
		{"object", `{"url":"u","token":"sample"}`, map[string]any{"token": "T", "url": "v", "team": "x"}, `{"url":"v","token":"T"}`},
		{"one field", `{"value":"sample"}`, map[string]any{"value": "T"}, `{"value":"T"}`},
		{"text", "sample", map[string]any{"value": "T", "team": "x"}, "T"},
		{"another shape", `{"url":"u","token":"sample"}`, map[string]any{"conn_uri": "T"}, `{"conn_uri":"T"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := shaped(realtest.Name(t), c.sample)
			overwrite(t, v, mount, ref.Path, c.entry)
			if got, _ := mustGet(t, b, ref); got.Payload.Reveal() != c.want {
				t.Errorf("the entry reads %s, want %s", got.Payload.Reveal(), c.want)
			}
		})
	}
}
