package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	inprocess "github.com/handover-agent/handover/agent"
	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// gossip declares a slot in stores that fail and quote what they were given,
// one in stores that fail silently, and a folder that is none.
const gossip = `
backends:
  quoting: {type: quoting}
  faulty:  {type: faulty}
  local:   {type: file, dir: delivered}
  broken:  {type: file, dir: admin.token/below-a-file}
accounts:
  - name: Gossip
    role: Member
    owner: tests@acme.example
    purpose: Is talked about by everybody
    tokens:
      - name: quoted
        deliver:
          - {backend: quoting, path: multi, format: json}
          - {backend: quoting, path: dotenv, format: dotenv}
          - {backend: local, path: quoted, format: bearer}
      - name: failing
        deliver:
          - {backend: faulty, path: uri, format: airflow-connection}
          - {backend: broken, path: token, format: token}
          - {backend: local, path: failing, format: token}
`

// quoting is a store that takes every second write and says what it was given
// in the error of the others, in ever another disguise.
type quoting struct {
	backends.Backend
	calls *atomic.Int64
}

func (q quoting) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (backends.Version, error) {
	n := q.calls.Add(1)
	if n%2 == 0 {
		return q.Backend.Put(ctx, ref, item, prev)
	}
	return "", disguised(int(n/2), item.Payload.Reveal())
}

// talk are the disguises in which stores and APIs quote.
var talk = func() []func(string) string {
	var all []func(string) string
	for _, name := range slices.Sorted(maps.Keys(disguises)) {
		if !strings.EqualFold(name, "percent") { // nobody encodes letters that way
			all = append(all, disguises[name])
		}
	}
	return all
}()

func disguised(n int, text string) error {
	cause := errors.New("the store can't take " + talk[n%len(talk)](text))
	if n%3 == 0 {
		return &backends.Error{Op: "put", Kind: backends.ErrUnavailable, Err: fmt.Errorf("wrapped: %w", cause)}
	}
	return cause
}

// stumbling is a script of faults for a store that doesn't quote.
func stumbling() faulty.Script {
	kinds := []faulty.Fault{
		faulty.Fail(backends.ErrUnavailable), {}, faulty.LoseAnswer(), {}, faulty.Fail(backends.ErrThrottled), {},
		faulty.Fail(backends.ErrDenied), {}, faulty.FailAfter(backends.ErrUnavailable), {}, {},
	}
	return func(c faulty.Call) faulty.Fault { return kinds[c.N%len(kinds)] }
}

// gossipDrivers are the drivers of the declaration above.
func gossipDrivers(quotes *atomic.Int64) (backends.Registry, error) {
	driver := func(kind string, options mem.Options, wrap func(backends.Backend) backends.Backend) backends.Driver {
		d := mem.Driver()
		d.Type = kind
		store := mem.New(options)
		d.Properties = func(any) backends.Properties { return store.Backend().Properties() }
		d.Open = func(context.Context, backends.Env, any) (backends.Backend, error) { return wrap(store.Backend()), nil }
		return d
	}
	return backends.NewRegistry(file.Driver(),
		driver("quoting", mem.Options{CompareAndSet: true, Versions: true, Metadata: true},
			func(b backends.Backend) backends.Backend { return quoting{b, quotes} }),
		driver("faulty", mem.LikeAWS(), func(b backends.Backend) backends.Backend { return faulty.Wrap(b, stumbling()) }))
}

// mirror is an API that answers every fifth call with what the call held: its
// bearer, its body, and, after a mint, the new token.
type mirror struct {
	next  http.Handler
	calls atomic.Int64
	shown atomic.Int64
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := m.calls.Add(1)
	if n%5 != 0 {
		m.next.ServeHTTP(w, r)
		return
	}
	held := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if n%10 == 0 { // it is done, and the answer is lost
		done := httptest.NewRecorder()
		m.next.ServeHTTP(done, r)
		if token := bearer.FindString(done.Body.String()); token != "" {
			held = token
		}
	}
	shape := int(m.shown.Add(1))
	told := talk[shape%len(talk)](held)
	w.Header().Set("Content-Type", "application/json")
	switch shape % 8 {
	case 0:
		http.Error(w, "<html>Signed in with "+told+"</html>", http.StatusOK)
	case 1:
		w.Header().Set("Location", "/login?token="+held)
		w.WriteHeader(http.StatusFound)
	case 2:
		w.Header().Set("Retry-After", held)
		m.detail(w, http.StatusTooManyRequests, told)
	case 3:
		m.detail(w, http.StatusInternalServerError, "no room for "+told)
	case 4:
		w.Header().Set("WWW-Authenticate", "Bearer error=\""+held+"\"")
		m.detail(w, http.StatusUnauthorized, "invalid token "+told)
	case 5:
		m.detail(w, http.StatusUnprocessableEntity, []any{map[string]any{"loc": []string{"header", held}, "msg": told, "input": held}})
	case 6:
		_, _ = io.WriteString(w, `{"items": "`+held+`", "total": "`+held+`"}`)
	case 7:
		_, _ = io.WriteString(w, `[{"id": "`+held+`", "name": `+held)
	}
}

// detail answers as FastAPI does.
func (m *mirror) detail(w http.ResponseWriter, status int, what any) {
	text, _ := json.Marshal(map[string]any{"detail": what}) //nolint:errchkjson // texts alone
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// TestNothingTellsASecret: an agent logs at debug level while API and stores
// fail in every way and quote tokens in their answers. Nothing that it says or
// keeps, but the targets themselves, shows twelve bytes of one.
func TestNothingTellsASecret(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("not run with -short: it waits for real time to pass")
	}
	s := newSite(t)
	server, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := server.AdminToken("Handover Admin")
	if err != nil {
		t.Fatal(err)
	}
	s.secret("admin.token", admin.Reveal())
	inner := &tap{secrets: s.secrets, next: server, changing: make(chan struct{}, 1)}
	m, quotes := &mirror{next: inner}, &atomic.Int64{}
	s.declare(s.serve(m), "{lifetime: 1d, every: 1s, grace: 1s, hold: 0s, observe: 1s}", gossip)
	registry, err := gossipDrivers(quotes)
	if err != nil {
		t.Fatal(err)
	}
	d, err := config.Load(s.path("agent.yaml"), registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.runGossip(t, d, func() (bool, string) {
		answers, writes := m.shown.Load(), quotes.Load()/2
		return answers >= 40 && writes >= 10, fmt.Sprintf("%d answers and %d writes quoted a token", answers, writes)
	})
	s.noTraces("log", "events", "page /metrics", "page /api/v1/status", "page /", "journal state.db", "journal state.db-wal", "end")
}

// resumeAll plays the person whom a refused slot or account waits for.
func resumeAll(ctx context.Context, running *inprocess.Agent, refused <-chan string) {
	for {
		select {
		case slot := <-refused:
			_, _ = running.Submit(ctx, []rotation.Request{{Kind: rotation.RequestResume, Slot: slot, Actor: "the test"}})
		case <-ctx.Done():
			return
		}
	}
}

// runGossip runs the agent in this process until enough has happened, and keeps
// all that it says.
func (s *site) runGossip(t *testing.T, d *config.Declaration, enough func() (bool, string)) {
	t.Helper()
	log, events, refused := &outside.Text{}, &outside.Text{}, make(chan string, 100)
	running, err := inprocess.New(t.Context(), inprocess.Options{Declaration: d, Version: "test",
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		OnEvent: func(e rotation.Event) {
			fmt.Fprintf(events, "%+v %#v\n", e, e)
			if e.Reason == rotation.IssueRefused || e.Reason == rotation.AccountRefused {
				refused <- cmp.Or(e.Slot, d.Policies()[0].Slot)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	var person sync.WaitGroup
	person.Go(func() { resumeAll(ctx, running, refused) })
	await(t, 2*patience, "every act, and many quotations", func() (bool, string) {
		done, stands := enough()
		for _, act := range []rotation.Act{rotation.ActIssued, rotation.ActDeleted, rotation.ActDeliverFailed} {
			done = done && strings.Contains(events.String(), "Act:"+string(act)+" ")
		}
		return done, stands + "; the log ends with\n" + outside.Tail(log.String(), 5)
	})
	t.Log(enough())
	pages := &agent{process: &process{evidence: s.evidence}, site: s, base: "http://" + running.Address()}
	pages.keepPages()
	s.keepJournal()
	stop()
	person.Wait()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err = <-ended:
	case <-timer.C:
		t.Fatal("it doesn't end")
	}
	s.evidence.keep("end", fmt.Appendf(nil, "%v %+v %#v %v", err, err, err, running.Close()))
	s.evidence.keep("log", []byte(log.String()))
	s.evidence.keep("events", []byte(events.String()))
}
