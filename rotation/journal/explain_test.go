package journal

import (
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// TestQueriesUseIndexes: what status, history, pruning and each pass ask for is
// found by an index and comes in its order, so that it takes no longer because
// others have a long history. The plan doesn't depend on how many rows there
// are: the journal keeps no statistics.
func TestQueriesUseIndexes(t *testing.T) {
	history := func(f rotation.HistoryFilter) string {
		query, _, err := historyQuery(f)
		if err != nil {
			t.Fatal(err)
		}
		return query
	}
	since := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const byRowid = "SCAN events"                            // backwards from the newest, until there are enough
	const byOpen = "SCAN requests USING INDEX requests_open" // which has the open ones alone
	j := mustOpen(t, newPath(t), Options{})
	for name, test := range map[string]struct{ query, want string }{
		"a pass, slot":        {slots.selectOne(), "SEARCH slots USING INDEX sqlite_autoindex_slots_1 (slot=?)"},
		"a pass, account":     {accounts.selectOne(), "SEARCH accounts USING INDEX sqlite_autoindex_accounts_1 (id=?)"},
		"a pass, requests":    {openRequests, "SEARCH requests USING INDEX requests_open (slot=?)"},
		"all open requests":   {allOpen, byOpen},
		"status":              {slots.selectPage(), "SEARCH slots USING INDEX sqlite_autoindex_slots_1 (slot>?)"},
		"a request":           {oneRequest, "SEARCH requests USING INTEGER PRIMARY KEY (rowid=?)"},
		"history":             {history(rotation.HistoryFilter{}), byRowid},
		"history of a slot":   {history(rotation.HistoryFilter{Slot: slot}), "SEARCH events USING INDEX events_slot (slot=?)"},
		"history since":       {history(rotation.HistoryFilter{Since: since}), "SEARCH events USING INDEX events_at (at>?)"},
		"of a slot, since":    {history(rotation.HistoryFilter{Slot: slot, Since: since}), "SEARCH events USING INDEX events_slot (slot=?)"},
		"a cut of a slot":     {pruneQuery(ofSlot), "USING COVERING INDEX events_slot (slot=? AND id<?)"},
		"a cut of an account": {pruneQuery(ofAccount), "USING COVERING INDEX events_account (account=? AND id<?)"},
		"how much is old":     {countOld, "SEARCH events USING COVERING INDEX events_at (at<?)"},
		"old, of one time":    {oldSame, "SEARCH events USING INDEX events_at (at=? AND id>?)"},
		"old, of later times": {oldLater, "SEARCH events USING INDEX events_at (at>? AND at<?)"},
		"the last issue":      {lastOfAct, "SEARCH events USING INDEX events_slot (slot=?)"},
		"its intent":          {itsIntent, "SEARCH events USING INDEX events_slot (slot=? AND id<?)"},
	} {
		t.Run(name, func(t *testing.T) {
			all := strings.Join(explain(t, j, test.query), "\n")
			if !strings.Contains(all, test.want) {
				t.Errorf("%s\nis done by\n%s\nwant %s", test.query, all, test.want)
			}
			if strings.Contains(all, "TEMP B-TREE") || strings.Contains(all, "SCAN") && test.want != byRowid && test.want != byOpen {
				t.Errorf("%s\nreads or sorts more than it needs:\n%s", test.query, all)
			}
		})
	}
}

// explain returns the steps by which SQLite would do a query.
func explain(t *testing.T, j *Journal, query string) []string {
	t.Helper()
	args := make([]any, 9) // as many as there are, and more: none is looked at
	rows, err := j.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
