package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/rotation"
)

// wantBadRow checks that err names the place, as "column" or "column field".
func wantBadRow(t *testing.T, err error, table, key, place string) {
	t.Helper()
	var bad *rotation.BadRow
	if !errors.As(err, &bad) {
		t.Fatalf("%v, want a bad row", err)
	}
	got := strings.TrimSpace(bad.Column + " " + bad.Field)
	if bad.Table != table || bad.Key != key || got != place {
		t.Errorf("it names table %s, key %s, place %q; want %s, %s, %q", bad.Table, bad.Key, got, table, key, place)
	}
	if errors.Is(err, ErrCorrupt) {
		t.Errorf("%v: one row is told as a file that is corrupted", err)
	}
}

// lived is a record with something in each field that a hand could spoil.
func lived(slot string) rotation.Record {
	rec := fullRecord(slot)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	days := 365
	rec.Generations[5].Days = &days
	rec.High = 7
	rec.Intent = &rotation.Intent{Generation: 7, Label: "production.acme.g7", Reason: rotation.Age, At: at, Process: "p"}
	other := rec.Targets["local a.env"]
	other.Payloads = []rotation.Payload{{Fingerprint: "ab", Generation: 5}}
	rec.Targets["local a.env"] = other
	return rec
}

// badBodies are edits of a body by SQLite's JSON functions, and the place that
// must be named.
var badBodies = []struct{ edit, place string }{
	{"'garbage'", "body"},
	{"''", "body"},
	{"substr(body, 1, 10)", "body"},
	{"body || body", "body"},
	{"x'ff00ff'", "body"},
	{"5", "body"},
	{"'null'", "body"},
	{"'[]'", "body"},
	{`'{"slot":"other"}'`, "body slot"},
	{"json_set(body, '$.slot', 5)", "body slot"},
	{"json_set(body, '$.high', -1)", "body high"},
	{"json_set(body, '$.high', 2)", "body generations[2].number"},
	{"json_set(body, '$.current', 'six')", "body current"},
	{"json_set(body, '$.current', 9)", "body current"},
	{"json_set(body, '$.current', 1.5)", "body current"},
	{"json_set(body, '$.current', json('null'))", "body current"},
	{"json_set(body, '$.now', 6)", "body now"},
	{"json_remove(body, '$.current')", "body generations[5].state"},
	{"json_set(body, '$.attempts', -1)", "body attempts"},
	{"json_set(body, '$.attempts', 1e30)", "body attempts"},
	{"json_set(body, '$.handled', -1)", "body handled"},
	{"json_set(body, '$.due_at', 'tomorrow')", "body due_at"},
	{"json_set(body, '$.due_at', 1767323045)", "body due_at"},
	{"json_set(body, '$.intent', 'yes')", "body intent"},
	{"json_set(body, '$.intent.generation', 0)", "body intent.generation"},
	{"json_set(body, '$.intent.generation', 8)", "body intent.generation"},
	{"json_set(body, '$.intent.request', -1)", "body intent.request"},
	{"json_set(body, '$.intent.attempts', -1)", "body intent.attempts"},
	{"json_set(body, '$.intent.at', '2026-13-01T00:00:00Z')", "body intent.at"},
	{"json_set(body, '$.generations', json('{}'))", "body generations"},
	{"json_set(body, '$.generations[5].state', 'lvie')", "body generations[5].state"},
	{"json_set(body, '$.generations[4].state', 'live')", "body generations[4].state"},
	{"json_remove(body, '$.generations[3].state')", "body generations[3].state"},
	{"json_set(body, '$.generations[5].claimed', 'true')", "body generations[5].claimed"},
	{"json_set(body, '$.generations[1].token_id', '12')", "body generations[1].token_id"},
	{"json_set(body, '$.generations[1].token_id', -12)", "body generations[1].token_id"},
	{"json_set(body, '$.generations[1].number', 4)", "body generations[2].number"},
	{"json_set(body, '$.generations[1].number', 0)", "body generations[1].number"},
	{"json_set(body, '$.generations[5].days', -1)", "body generations[5].days"},
	{"json_set(body, '$.generations[5].attempts', -3)", "body generations[5].attempts"},
	{"json_set(body, '$.generations[5].expires', '')", "body generations[5].expires"},
	{"json_set(body, '$.generations[#]', json('null'))", "body generations[6]"},
	{"json_set(body, '$.targets', json('[]'))", "body targets"},
	{`json_set(body, '$.targets."vault connections/a"', 'gone')`, `body targets["vault connections/a"]`},
	{`json_set(body, '$.targets."vault connections/a".state', 'lost')`, `body targets["vault connections/a"].state`},
	{`json_set(body, '$.targets."vault connections/a".attempts', -1)`, `body targets["vault connections/a"].attempts`},
	{`json_set(body, '$.targets."vault connections/a".serves', json('{}'))`, `body targets["vault connections/a"].serves`},
	{`json_set(body, '$.targets."local a.env".payloads[0].generation', 'x')`, `body targets["local a.env"].payloads[0].generation`},
}

func TestBadRows(t *testing.T) {
	tests := map[string]string{} // statement → place
	for _, b := range badBodies {
		tests["UPDATE slots SET body = "+b.edit+" WHERE slot = $1"] = b.place
	}
	for value, place := range map[string]string{"0": "revision", "-7": "revision", "'three'": "revision", "1.5": "revision",
		"x'00'": "revision", "9223372036854775807": "revision"} {
		tests["UPDATE slots SET revision = "+value+" WHERE slot = $1"] = place
	}
	for statement, place := range tests {
		t.Run(statement, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			for _, s := range []string{"a", slot, "z"} {
				if _, err := j.Commit(t.Context(), lived(s), event(s)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := j.writer.Exec(statement, slot); err != nil {
				t.Fatal(err)
			}
			wantOneBad(t, j, place)
		})
	}
}

// wantOneBad checks that slot can't be read, and that "a" and "z" around it can.
func wantOneBad(t *testing.T, j *Journal, place string) {
	t.Helper()
	_, err := j.Slot(t.Context(), slot)
	wantKind(t, err, rotation.ErrBadRow, j.path)
	wantBadRow(t, err, "slots", slot, place)
	var read []string
	for rec, err := range j.Slots(t.Context()) {
		read = append(read, rec.Slot)
		if rec.Slot != slot && err != nil {
			t.Errorf("%s: %v", rec.Slot, err)
		}
		if rec.Slot == slot {
			wantBadRow(t, err, "slots", slot, place)
		}
	}
	if diff := cmp.Diff([]string{"a", slot, "z"}, read); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	for _, other := range []string{"a", "z"} {
		rec, err := j.Slot(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Commit(t.Context(), rec, event(other)); err != nil {
			t.Errorf("commit of %s: %v", other, err)
		}
	}
}

// TestRowsWithoutTheirTypes: the tables were made anew, by a tool that keeps no
// constraints.
func TestRowsWithoutTheirTypes(t *testing.T) {
	for value, place := range map[string]string{"revision = NULL": "revision", "body = NULL": "body", "body = 1.5": "body",
		"revision = '1'": "revision"} {
		t.Run(value, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			for _, s := range []string{"a", slot, "z"} {
				commit(t, j, s)
			}
			if _, err := j.writer.Exec("CREATE TABLE loose AS SELECT CAST(slot AS BLOB) AS k, * FROM slots; DROP TABLE slots; " +
				"CREATE TABLE slots (slot, revision, fence, body); INSERT INTO slots SELECT slot, revision, fence, body FROM loose"); err != nil {
				t.Fatal(err)
			}
			if _, err := j.writer.Exec("UPDATE slots SET "+value+" WHERE slot = $1", slot); err != nil {
				t.Fatal(err)
			}
			wantOneBad(t, j, place)
		})
	}
}

// TestKeysThatAreNoText: nobody can ask for such a row, so it is as good as
// gone; the loop over all says that it is there, and comes to its end.
func TestKeysThatAreNoText(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	for _, s := range []string{"a", "z"} {
		commit(t, j, s)
	}
	// SQLite takes NULL for a key of text. No comparison finds it.
	if _, err := j.writer.Exec("INSERT INTO slots SELECT NULL, revision, fence, body FROM slots WHERE slot = 'a'"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.writer.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO slots SELECT CAST(printf('%05d', i) AS BLOB), 1, 1, '{}' FROM n`, 2*pageSize+5); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for rec, err := range j.Slots(t.Context()) {
		switch {
		case err == nil:
			good++
		case rec.Slot != "" || !errors.Is(err, rotation.ErrBadRow):
			t.Fatalf("%q: %v", rec.Slot, err)
		default:
			bad++
		}
	}
	if good != 2 || bad != 2*pageSize+5 {
		t.Errorf("%d rows read and %d not, want 2 and %d", good, bad, 2*pageSize+5)
	}
	if _, err := j.Slot(t.Context(), "00001"); !errors.Is(err, rotation.ErrNoRecord) {
		t.Errorf("a key of bytes is found by text: %v", err)
	}
}

// TestMendedByHand: what a person put right is read again, whatever its order
// and spacing, and also as the bytes that readfile of the sqlite3 shell makes.
func TestMendedByHand(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	want, err := j.Commit(t.Context(), lived(slot), event(slot))
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []string{"CAST(body AS BLOB)", "replace(body, ',', ' ,\n\t')", "json_set(json_remove(body, '$.high'), '$.high', 7)"} {
		if _, err := j.writer.Exec("UPDATE slots SET body = "+edit+" WHERE slot = $1", slot); err != nil {
			t.Fatal(err)
		}
		rec, err := j.Slot(t.Context(), slot)
		if diff := cmp.Diff(want, rec); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", edit, err, diff)
		}
	}
}

// TestNullInText: only a null that is a value is one.
func TestNullInText(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	want, err := j.Commit(t.Context(), rotation.Record{Slot: "null@service/null", Blocked: "null"}, event(slot))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := j.Slot(t.Context(), want.Slot)
	if diff := cmp.Diff(want, rec); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestBadRowsOfOtherTables(t *testing.T) {
	for statement, want := range map[string]struct {
		table, place string
		read         func(j *Journal, request int64) error
	}{
		`UPDATE accounts SET body = '{"id":"b"}'`:                            {"accounts", "body id", readAccount},
		`UPDATE accounts SET body = json_set(body, '$.user_id', -1)`:         {"accounts", "body user_id", readAccount},
		`UPDATE accounts SET body = json_set(body, '$.attempts', -1)`:        {"accounts", "body attempts", readAccount},
		`UPDATE accounts SET body = json_set(body, '$.missing_at', 'never')`: {"accounts", "body missing_at", readAccount},
		"UPDATE accounts SET revision = 'x'":                                 {"accounts", "revision", readAccount},
		"UPDATE requests SET at = 'x'":                                       {"requests", "at", readRequest},
		"UPDATE requests SET kind = 'dance'":                                 {"requests", "kind", readRequest},
		"UPDATE requests SET closed_at = 7":                                  {"requests", "closed_at", readRequest},
		"UPDATE requests SET revoke_first = 'yes'":                           {"requests", "revoke_first", readRequest},
		"UPDATE requests SET deadline = 'soon'":                              {"requests", "deadline", readRequest},
		"UPDATE requests SET token_id = 'all'":                               {"requests", "token_id", readRequests},
		"UPDATE requests SET at = 'y', kind = 'x'":                           {"requests", "at", readRequests},
		"UPDATE events SET at = 'x'":                                         {"events", "at", readHistory},
		"UPDATE events SET at = x'00ff'":                                     {"events", "at", readHistory},
		"UPDATE events SET generation = 'four'":                              {"events", "generation", readHistory},
		"UPDATE events SET token_id = 1.5":                                   {"events", "token_id", readHistory},
		"UPDATE fence SET value = 'mine'":                                    {"fence", "value", commitAny},
	} {
		t.Run(statement, func(t *testing.T) {
			j := mustOpen(t, newPath(t), Options{})
			q, err := j.AddRequest(t.Context(), rotation.Request{Kind: rotation.RequestRotate, Slot: slot})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.CommitAccount(t.Context(), rotation.AccountRecord{ID: "a"}, event("")); err != nil {
				t.Fatal(err)
			}
			if _, err := j.writer.Exec(statement); err != nil {
				t.Fatal(err)
			}
			key := map[string]string{"accounts": "a", "requests": fmt.Sprint(q.ID), "events": "1", "fence": "journal"}[want.table]
			err = want.read(j, q.ID)
			wantKind(t, err, rotation.ErrBadRow, j.path)
			wantBadRow(t, err, want.table, key, want.place)
		})
	}
}

func readAccount(j *Journal, _ int64) error {
	_, err := j.Account(context.Background(), "a")
	return err
}

func readRequest(j *Journal, id int64) error {
	_, err := j.Request(context.Background(), id)
	return err
}

func readRequests(j *Journal, _ int64) error {
	_, err := j.Requests(context.Background(), slot)
	return err
}

func readHistory(j *Journal, _ int64) error {
	_, err := j.History(context.Background(), rotation.HistoryFilter{})
	return err
}

func commitAny(j *Journal, _ int64) error {
	_, err := j.Commit(context.Background(), rotation.Record{Slot: slot}, event(slot))
	return err
}

// TestHistoryAroundABadEvent: no act depends on an event, so the others are
// told beside the complaint.
func TestHistoryAroundABadEvent(t *testing.T) {
	j := mustOpen(t, newPath(t), Options{})
	for range 4 {
		commit(t, j, slot)
	}
	if _, err := j.writer.Exec("UPDATE events SET at = 'x' WHERE id IN (2, 3)"); err != nil {
		t.Fatal(err)
	}
	events, err := j.History(t.Context(), rotation.HistoryFilter{})
	wantBadRow(t, err, "events", "3", "at")
	if len(events) != 2 || events[0].ID != 1 || events[1].ID != 4 {
		t.Errorf("events %+v, want the first and the last", events)
	}
}

func FuzzRow(f *testing.F) {
	for _, rec := range []rotation.Record{{Slot: slot, High: 3}, lived(slot)} {
		good, err := json.Marshal(rec)
		if err != nil {
			f.Fatal(err)
		}
		for _, body := range []string{string(good), string(good) + "x", string(good[:9]), strings.ToUpper(string(good)),
			strings.ReplaceAll(string(good), "6", "-6"), strings.ReplaceAll(string(good), `"live"`, "null")} {
			f.Add(slot, int64(1), body)
		}
		f.Add(slot, int64(0), string(good))
	}
	for _, body := range []string{"", "{}", "null", "[]", `{"slot":1}`, `{"slot":"` + slot + `","high":-1}`} {
		f.Add(slot, int64(1), body)
	}
	f.Fuzz(func(t *testing.T, key string, revision int64, body string) {
		s := stored{cell{key}, cell{revision}, cell{body}}
		rec, err := decodeSlot(s)
		if err != nil {
			if diff := cmp.Diff(rotation.Record{Slot: key}, rec); diff != "" {
				t.Errorf("an error comes with half a record:\n%s", diff)
			}
			var bad *rotation.BadRow
			if !errors.As(err, &bad) || bad.Table != "slots" || bad.Key != key || bad.Column == "" || bad.Err == nil {
				t.Errorf("%v doesn't name its place", err)
			}
			return
		}
		if rec.Slot != key || rec.Revision != revision {
			t.Errorf("slot %q at %d read as %q at %d", key, revision, rec.Slot, rec.Revision)
		}
		again, err := json.Marshal(rec)
		if err != nil {
			t.Fatalf("what was read can't be stored: %v", err)
		}
		if twice, err := decodeSlot(stored{cell{key}, cell{revision}, cell{string(again)}}); err != nil || !cmp.Equal(rec, twice) {
			t.Errorf("read twice (%v):\n%s", err, cmp.Diff(rec, twice))
		}
		actOn(rec)
	})
}

// actOn looks at a record as status and a pass do: neither panics.
func actOn(rec rotation.Record) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	pol := rotation.Policy{Slot: rec.Slot, AccountID: "a@service", Token: "production", AgentID: "acme",
		Targets: []rotation.TargetPolicy{{Key: "vault connections/a"}}}
	rotation.Describe(rec, rotation.AccountRecord{}, pol)
	for _, obs := range []rotation.Observation{{}, {
		Tokens:  &rotation.TokensSeen{At: now, Mine: []rotation.Token{{ID: 3, AccountID: "a@service", Label: "production.acme.g3", Created: now}}},
		Account: &rotation.AccountSeen{At: now, UserID: 1},
		Targets: map[string]rotation.TargetSeen{"vault connections/a": {At: now}},
	}} {
		rotation.Next(rec, obs, pol, now)
	}
}
