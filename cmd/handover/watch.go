package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/pace"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/qualytics/sim"
	"github.com/handover-agent/handover/rotation"
)

// watch looks on while development mode runs: it tells the story, plays the
// consumers, and keeps count for the summary.
type watch struct {
	declaration *config.Declaration
	server      *sim.Server
	clock       *pace.Scaled
	began       time.Time
	story       io.Writer
	address     string // the simulator's
	// complete: the time of --for is over, so that every target has to hold a
	// token, and to have been read.
	complete bool

	readers []reader
	opened  []backends.Backend
	client  *http.Client

	mu       sync.Mutex
	count    summary
	byHand   int64 // a token that a person made: the agent must not touch it
	troubles []string
}

func newWatch(d *config.Declaration, world *simulation, address string, story io.Writer) *watch {
	w := &watch{declaration: d, server: world.server, clock: world.clock, began: world.clock.Now(), story: story,
		address: address, client: &http.Client{Transport: &http.Transport{}}}
	w.count.Slots = len(d.Policies())
	for _, t := range w.server.Tokens() {
		if t.Label == byHandLabel && t.Live() { // of an earlier run
			w.byHand = t.ID
		}
	}
	return w
}

// introduce says where everything is.
func (w *watch) introduce(o devOptions) {
	fmt.Fprintf(w.story, "Qualytics (simulated)  http://%s\n", w.address)
	fmt.Fprintf(w.story, "Status page            http://%s/\n", w.declaration.Agent.Listen)
	fmt.Fprintf(w.story, "Files                  %s\n", o.dir)
	for _, p := range w.declaration.Policies() {
		for _, t := range p.Targets {
			fmt.Fprintf(w.story, "  %-24s  %s\n", p.Token, t.Key)
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

// byHandLabel is the name of the token that a person made.
const byHandLabel = "made-by-hand"

// leaveOneByHand makes a token on the first account as a person would. It is
// live at the end, or promise 5 is broken.
func (w *watch) leaveOneByHand(accountID string) {
	if w.byHand != 0 {
		return
	}
	id, _, err := w.server.CreateToken(accountID, byHandLabel, 0)
	if err != nil {
		w.troubles = append(w.troubles, fmt.Sprintf("no token was made by hand: %v", err))
		return
	}
	w.byHand = id
}

func (w *watch) trouble(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	w.troubles = append(w.troubles, line)
	fmt.Fprintf(w.story, "day %7.2f  TROUBLE               %s\n", w.days(), line)
}

// finish checks what must hold at the end, and gives the readers' access back.
func (w *watch) finish() {
	for i := range w.readers {
		w.check(&w.readers[i])
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
	w.client.CloseIdleConnections()
}

// check looks at a target a last time.
func (w *watch) check(r *reader) {
	found, err := r.target.Read(context.Background(), backends.Current)
	switch {
	case err != nil:
		w.trouble("%s could not be read at the end: %v", r.target.Key(), err)
	case r.target.Format.Lossy():
		if w.complete && !found.Present {
			w.trouble("%s is empty at the end", r.target.Key())
		}
	case found.Token.IsZero():
		if w.complete || r.delivered {
			w.trouble("%s holds no token at the end", r.target.Key())
		}
	default:
		if err := w.server.Check(found.Token); err != nil {
			w.trouble("%s holds a dead token at the end: %v", r.target.Key(), err)
		}
	}
}
