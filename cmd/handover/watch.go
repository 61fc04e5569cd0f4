package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/pace"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

var discard = slog.New(slog.DiscardHandler)

// readEvery is how often a reader reads, in declared time.
const readEvery = 6 * time.Hour

// watch looks on while development mode runs: it tells the story, plays the
// consumers, and keeps count for the summary.
type watch struct {
	declaration *config.Declaration
	server      *sim.Server
	clock       *pace.Scaled
	began       time.Time
	story       io.Writer

	readers []reader
	opened  []backends.Backend

	mu       sync.Mutex
	count    summary
	byHand   int64 // a token that a person made: the agent must not touch it
	troubles []string
}

// reader is the consumer of one target.
type reader struct {
	slot   string
	target *backends.Target
	// delivered is set once the target was seen to hold a token: from then
	// on it must hold one that works.
	delivered bool
}

// summary is what development mode tells at its end. The JSON keys are a
// contract (design.md, "The command line").
type summary struct {
	DeclaredDays  float64 `json:"declared_days"`
	Slots         int     `json:"slots"`
	Rotations     int     `json:"rotations"`
	Revocations   int     `json:"revocations"`
	Deletions     int     `json:"deletions"`
	Reads         int     `json:"reads"`
	RefusedReads  int     `json:"refused_reads"`
	MaxLiveTokens int     `json:"max_live_tokens_per_slot"`
	PromisesHeld  bool    `json:"promises_held"`
	// Broken says which promises did not hold, a line each.
	Broken []string `json:"broken,omitempty"`
}

func newWatch(d *config.Declaration, world *simulation, story io.Writer) *watch {
	w := &watch{declaration: d, server: world.server, clock: world.clock, began: world.clock.Now(), story: story}
	w.count.Slots = len(d.Policies())
	return w
}

// introduce says where everything is.
func (w *watch) introduce(o devOptions, address string, d *config.Declaration) {
	fmt.Fprintf(w.story, "Qualytics (simulated)  http://%s\n", address)
	fmt.Fprintf(w.story, "Status page            http://%s/\n", d.Agent.Listen)
	fmt.Fprintf(w.story, "Files                  %s\n", o.dir)
	for _, p := range d.Policies() {
		for _, t := range p.Targets {
			fmt.Fprintf(w.story, "  %-22s %s\n", p.Token, t.Key)
		}
	}
	fmt.Fprintf(w.story, "A declared day takes %s.", config.FormatDuration(o.day))
	if o.day >= rotationDay {
		fmt.Fprint(w.story, " Nothing rotates for months; --day 1s shows a year in six minutes.")
	}
	fmt.Fprint(w.story, "\n\n")
}

// told are the acts that the story tells, and how.
var told = map[rotation.Act]string{
	rotation.ActCreatedAccount: "account created",
	rotation.ActFoundAccount:   "account found",
	rotation.ActIssued:         "token issued",
	rotation.ActDelivered:      "delivered",
	rotation.ActRevoked:        "old token revoked",
	rotation.ActDeleted:        "old token deleted",
	rotation.ActLost:           "token to be replaced",
	rotation.ActBlocked:        "BLOCKED, a person is needed",
	rotation.ActDeliverFailed:  "NOT DELIVERED, tried again later",
	rotation.ActFound:          "unknown token found",
}

// event is told of everything that the agent commits.
func (w *watch) event(e rotation.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Act {
	case rotation.ActIssued:
		if e.Generation > 1 {
			w.count.Rotations++
		}
		w.countLive(e.Slot)
	case rotation.ActRevoked:
		w.count.Revocations++
	case rotation.ActDeleted:
		w.count.Deletions++
	case rotation.ActCreatedAccount:
		w.leaveOneByHand(e.Account)
	}
	if what := told[e.Act]; what != "" {
		fmt.Fprintf(w.story, "day %7.2f  %-20s  %s\n", w.days(), what, subject(e))
	}
}

func subject(e rotation.Event) string {
	text := e.Slot + e.Account
	if e.Generation != 0 {
		text += fmt.Sprintf(" generation %d", e.Generation)
	}
	if e.Target != "" {
		text += " at " + e.Target
	}
	if e.Reason != "" && e.Act != rotation.ActDelivered && e.Act != rotation.ActDeleted {
		text += " (" + string(e.Reason) + ")"
	}
	return text
}

func (w *watch) days() float64 { return w.clock.Now().Sub(w.began).Hours() / 24 }

// countLive keeps the most live tokens that a slot ever had.
func (w *watch) countLive(slot string) {
	for _, p := range w.declaration.Policies() {
		if p.Slot != slot {
			continue
		}
		live := 0
		for _, t := range w.server.LiveTokens(p.AccountID) {
			if _, ours := rotation.ParseLabel(t.Label, p.Token, p.AgentID); ours {
				live++
			}
		}
		w.count.MaxLiveTokens = max(w.count.MaxLiveTokens, live)
	}
}

// leaveOneByHand makes a token on the first account as a person would. It is
// live at the end, or promise 5 is broken.
func (w *watch) leaveOneByHand(accountID string) {
	const label = "made-by-hand"
	if w.byHand != 0 {
		return
	}
	id, _, err := w.server.CreateToken(accountID, label, 0)
	if err != nil {
		w.troubles = append(w.troubles, fmt.Sprintf("no token was made by hand: %v", err))
		return
	}
	w.byHand = id
}

// openTargets opens the backends once more, as the consumers' own access.
func (w *watch) openTargets(ctx context.Context) error {
	byName := map[string]backends.Backend{}
	for _, b := range w.declaration.Backends {
		opened, err := b.Driver.Open(ctx, backends.Env{Name: b.Name, AgentID: "readers", Log: discard}, b.Options)
		if err != nil {
			return fmt.Errorf("open backend %s for the readers: %w", b.Name, err)
		}
		byName[b.Name] = opened
		w.opened = append(w.opened, opened)
	}
	for _, account := range w.declaration.Accounts {
		for _, token := range account.Tokens {
			for _, t := range token.Deliver {
				w.readers = append(w.readers, reader{slot: account.Slot(token),
					target: &backends.Target{Ref: t.Ref, Backend: byName[t.Ref.Backend], Format: t.Format}})
			}
		}
	}
	return nil
}

// startReaders starts one reader for each target. They end with ctx.
func (w *watch) startReaders(ctx context.Context, all *sync.WaitGroup, address string) {
	for i := range w.readers {
		done := w.clock.Busy()
		all.Go(func() {
			defer done()
			next := w.clock.Now()
			for ctx.Err() == nil {
				w.read(ctx, &w.readers[i], address)
				next = next.Add(readEvery)
				w.clock.Wait(ctx, next, nil)
			}
		})
	}
}

// read is one use of a target by its consumer.
func (w *watch) read(ctx context.Context, r *reader, address string) {
	found, err := r.target.Read(ctx, backends.Current)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil:
		w.trouble("%s could not be read: %v", r.target.Key(), err)
	case found.Token.IsZero() && r.delivered:
		w.trouble("%s holds no token any more", r.target.Key())
	case !found.Token.IsZero():
		r.delivered = true
		refused, err := use(ctx, address, found.Token)
		if err != nil {
			if ctx.Err() == nil {
				w.trouble("the reader of %s did not reach the simulator: %v", r.target.Key(), err)
			}
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.count.Reads++
		if refused {
			w.count.RefusedReads++
			fmt.Fprintf(w.story, "day %7.2f  REFUSED               the token at %s\n", w.days(), r.target.Key())
		}
	}
}

// use calls the simulator as a consumer does.
func use(ctx context.Context, address string, token secret.Value) (refused bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/teams?page=1&size=1", nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, secret.Redact(err, token)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)); err != nil {
		return false, err
	}
	return answer.StatusCode != http.StatusOK, nil
}

func (w *watch) trouble(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	w.troubles = append(w.troubles, line)
	fmt.Fprintf(w.story, "day %7.2f  TROUBLE               %s\n", w.days(), line)
}

// finish checks what must hold at any end, and gives the readers' access back.
func (w *watch) finish() {
	for i := range w.readers {
		r := &w.readers[i]
		found, err := r.target.Read(context.Background(), backends.Current)
		switch {
		case err != nil:
			w.trouble("%s could not be read at the end: %v", r.target.Key(), err)
		case found.Token.IsZero():
			if r.delivered {
				w.trouble("%s holds no token at the end", r.target.Key())
			}
		default:
			if err := w.server.Check(found.Token); err != nil {
				w.trouble("%s holds a dead token at the end: %v", r.target.Key(), err)
			}
		}
	}
	for _, t := range w.server.Tokens() {
		if t.ID == w.byHand && !t.Live() {
			w.trouble("the token that was made by hand is %s", t.State)
		}
	}
	for _, b := range w.opened {
		if err := b.Close(); err != nil {
			w.trouble("close a backend of the readers: %v", err)
		}
	}
}

// summary is the count at the end.
func (w *watch) summary(o devOptions) summary {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.count
	s.DeclaredDays = float64(int(w.days()*100)) / 100
	if o.duration > 0 && s.Reads == 0 {
		w.troubles = append(w.troubles, "nobody read anything")
	}
	if s.RefusedReads > 0 {
		w.troubles = append(w.troubles, fmt.Sprintf("%d reads were refused", s.RefusedReads))
	}
	s.Broken = w.troubles
	s.PromisesHeld = len(s.Broken) == 0
	return s
}

// printSummary prints the summary as -o says. When the run was for a given
// time, broken promises make it fail.
func (a *app) printSummary(s summary, judged bool) error {
	var err error
	switch a.output {
	case "json":
		err = a.printJSON(s)
	case "yaml":
		err = a.printYAML(s)
	default:
		s.print(a.out)
	}
	if err == nil && judged && !s.PromisesHeld {
		err = &exit{code: exitFailed, err: errors.New("a promise did not hold; see above")}
	}
	return err
}

func (s summary) print(out io.Writer) {
	fmt.Fprintf(out, "\n%.2f declared days, %d slots: %d rotations, %d revocations, %d deletions.\n",
		s.DeclaredDays, s.Slots, s.Rotations, s.Revocations, s.Deletions)
	fmt.Fprintf(out, "%d reads by consumers, %d refused. At most %d live tokens of a slot.\n",
		s.Reads, s.RefusedReads, s.MaxLiveTokens)
	if s.PromisesHeld {
		fmt.Fprintln(out, "Every promise held.")
		return
	}
	for _, line := range s.Broken {
		fmt.Fprintln(out, "BROKEN:", line)
	}
}
