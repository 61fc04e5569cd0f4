package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/agent/notify"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const slot = "a@service/t"

// stage is a notifier with a document that can be changed, in a bubble.
type stage struct {
	*notify.Notifier
	t  *testing.T
	mu sync.Mutex
	// slots, credential and broken are what the status tells.
	slots      []rotation.Status
	credential time.Duration
	// own is the slot that keeps it, where the agent rotates it itself: it is
	// late a day before its end.
	own    string
	broken error
	looks  int
	got    []notify.Notice
	counts map[string]int
	// answer is what sending ends with.
	answer error
}

// play runs a notifier with one receiver.
func play(t *testing.T, r notify.Receiver, act func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, counts: map[string]int{}}
		s.Notifier = notify.New(notify.Options{Agent: "acme", Status: s.status, Count: s.count, Log: slog.New(slog.DiscardHandler)})
		if r.Send == nil {
			r.Send = s.send
		}
		if r.Name == "" {
			r.Name, r.Every = "ops", 24*time.Hour
		}
		s.Use([]notify.Receiver{r})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		synctest.Wait()
		act(s)
		cancel()
		<-ended
	})
}

func (s *stage) status(context.Context) (report.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	doc := report.Document{Agent: "acme", Now: time.Now().UTC(), Slots: slices.Clone(s.slots)}
	if s.credential != 0 {
		end := doc.Now.Add(s.credential)
		doc.CredentialExpiresAt = &end
		if s.own != "" {
			warn := end.Add(-rotation.Day)
			doc.Credential = &report.Credential{Slot: s.own, WarnAt: &warn}
		}
	}
	return doc, s.broken
}

func (s *stage) send(_ context.Context, n notify.Notice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer == nil {
		s.got = append(s.got, n)
	}
	return s.answer
}

func (s *stage) count(to, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[to+" "+result]++
}

func (s *stage) counted(what string) (n int) {
	s.with(func() { n = s.counts[what] })
	return n
}

func (s *stage) looked() (n int) {
	s.with(func() { n = s.looks })
	return n
}

// stands sets the slots of the status, and lets it be looked at.
func (s *stage) stands(slots ...rotation.Status) {
	s.with(func() { s.slots = slots })
	s.pass(time.Minute + time.Second)
}

// with changes what the status and the receiver are.
func (s *stage) with(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// told takes the texts of what was told since the last call.
func (s *stage) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for _, n := range s.got {
		texts = append(texts, n.Text)
	}
	s.got = nil
	return texts
}

// want wants one text for each, which it contains.
func (s *stage) want(parts ...string) {
	s.t.Helper()
	told := s.told()
	if len(told) != len(parts) {
		s.t.Fatalf("told %q, want %q", told, parts)
	}
	for i, part := range parts {
		if !strings.Contains(told[i], part) {
			s.t.Errorf("told %q, want %q", told[i], part)
		}
	}
}

func blocked() rotation.Status {
	return rotation.Status{Slot: slot, State: rotation.SlotBlocked, Reason: rotation.IssueRefused}
}

func at(d time.Duration) *time.Time {
	t := time.Now().Add(d)
	return &t
}

// TestWhatIsTold: each event in plain English, with what to do.
func TestWhatIsTold(t *testing.T) {
	target := func(state rotation.TargetState, why rotation.Reason) rotation.Status {
		return rotation.Status{Slot: slot, State: rotation.SlotDelivering, Targets: []rotation.TargetStatus{{Backend: "vault", Path: "ci/x", State: state, Reason: why}}}
	}
	play(t, notify.Receiver{}, func(s *stage) {
		s.stands(blocked())
		s.want("a@service/t is blocked: Qualytics refuses to make the token: the log has its words. Mend that, then: handover resume a@service/t")
		s.stands(target(rotation.TargetBlocked, rotation.TargetRefused))
		s.want("vault/ci/x, a target of a@service/t, is blocked: the store won't take the payload: the log says why. Mend that, then: handover resume a@service/t")
		s.stands(target(rotation.Foreign, rotation.TargetHoldsForeign))
		s.want("vault/ci/x, a target of a@service/t: it holds what isn't the agent's: move that away, or declare on_foreign: take_over.")
		s.stands(rotation.Status{Slot: slot, Retired: []rotation.RetiredStatus{{Generation: 4, TokenID: 99, State: rotation.Hold, Until: at(49*time.Hour + 90*time.Second), LastUsedAt: at(-time.Hour)}}})
		s.want("Token 99 (generation 4) of a@service/t is over its grace and still used, last 1h ago. It is revoked in 2d1h at the latest. Find its user, and have it read the new token.")
		s.stands(rotation.Status{Slot: slot, State: rotation.SlotIssuing, Reason: rotation.TooManyLive, Generation: 5, TokenID: 100, IssuedAt: at(-356 * rotation.Day), ExpiresAt: at(9*rotation.Day + 90*time.Second)})
		s.want("Token 100 (generation 5) of a@service/t ends in 9d (2000-01-10) and isn't replaced yet: so many tokens of the slot live")
		s.with(func() { s.credential = 12*rotation.Day + time.Second })
		s.stands()
		s.want("the agent's own credential expires in 12d: put a new one in its place. Without one nothing is rotated.")
		s.stands(rotation.Status{Slot: slot, Emergency: &rotation.EmergencyReport{TakenUpAt: at(-5 * time.Minute), Alive: []rotation.AliveToken{{}}, Targets: []rotation.EmergencyTarget{{}, {Delivered: true}}}})
		s.want("An emergency of a@service/t is still under way. Tokens revoked: 0, alive: 1; targets without the new token: 1. See: handover explain a@service/t")
		s.Event(rotation.Event{Act: rotation.ActEmergency, Slot: slot, Actor: "uid 1000", Reason: rotation.Leaked, At: time.Now()})
		s.Event(rotation.Event{Act: rotation.ActEmergencyOver, Slot: slot, Detail: "revoked 2 tokens, issued generation 6", At: time.Now()})
		s.Event(rotation.Event{Act: rotation.ActSeen, Slot: slot, Target: "vault/ci/x", Detail: rotation.DetailDrift, Reason: rotation.TargetEmpty, At: time.Now()})
		s.pass(0)
		s.want("An emergency of a@service/t began, by uid 1000", "The emergency of a@service/t is over: revoked 2 tokens, issued generation 6",
			"vault/ci/x, a target of a@service/t, was changed by somebody else: nothing stands here any more. The agent puts it right; find out who writes there.")
	})
}

// TestNothingToTell: what goes as planned is told to nobody.
func TestNothingToTell(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.with(func() { s.credential = 31 * rotation.Day })
		s.stands(rotation.Status{Slot: slot, State: rotation.SlotCurrent, IssuedAt: at(-340 * rotation.Day), ExpiresAt: at(25 * rotation.Day),
			Targets:   []rotation.TargetStatus{{State: rotation.Behind, Reason: rotation.TargetUnreachable}, {State: rotation.TargetBlocked, Reason: rotation.JournalUnreadable}},
			Retired:   []rotation.RetiredStatus{{State: rotation.Grace}, {State: rotation.Unclaimed}},
			Emergency: &rotation.EmergencyReport{TakenUpAt: at(time.Hour)}},
			rotation.Status{Slot: "short", IssuedAt: at(0), ExpiresAt: at(rotation.Day)}, rotation.Status{Slot: "new"})
		for _, e := range []rotation.Event{{Act: rotation.ActSeen, Reason: rotation.TargetOlder}, {Act: rotation.ActIssued}, {Act: rotation.ActRevoked}} {
			s.Event(e)
		}
		s.pass(time.Hour)
		s.want()
	})
}

// TestOnceForAsLongAsItIsSo, and again after every; what has ended and comes
// back later is told anew.
func TestOnceForAsLongAsItIsSo(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.stands(blocked())
		s.want("is blocked")
		s.pass(23 * time.Hour)
		s.want()
		s.pass(time.Hour)
		s.want("is blocked")
		s.stands()
		s.stands(blocked()) // it comes and goes
		s.want()
		s.stands()
		s.pass(settled)
		s.stands(blocked())
		s.want("is blocked")
		other := blocked()
		other.Reason = rotation.AccountGone
		s.stands(other)
		s.want("was deleted by others")
	})
}

const settled = 11 * time.Minute

// TestDriftIsToldOnce in every, however often it is put right.
func TestDriftIsToldOnce(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		for range 23 {
			s.Event(rotation.Event{Act: rotation.ActSeen, Slot: slot, Target: "vault/x", Detail: rotation.DetailDrift, At: time.Now()})
			s.pass(time.Hour)
		}
		s.want("was changed by somebody else")
		s.pass(time.Hour)
		s.Event(rotation.Event{Act: rotation.ActSeen, Slot: slot, Target: "vault/x", Detail: rotation.DetailDrift, At: time.Now()})
		s.pass(0)
		s.want("was changed by somebody else")
	})
}

// TestAnEventIsLookedAtSoon: not only once a minute, and not each by itself.
func TestAnEventIsLookedAtSoon(t *testing.T) {
	for _, e := range []rotation.Event{{Act: rotation.ActBlocked}, {Act: rotation.ActAccountBlocked}, {Act: rotation.ActMoved, Detail: string(rotation.Hold)},
		{Act: rotation.ActSeen, Reason: rotation.TargetHoldsForeign}, {Act: rotation.ActSeen, Reason: rotation.TargetHoldsOther},
		{Act: rotation.ActDeliverFailed, Reason: rotation.TargetRefused}} {
		play(t, notify.Receiver{}, func(s *stage) {
			s.with(func() { s.slots = []rotation.Status{blocked()} })
			for range 100 {
				s.Event(e)
				s.pass(100 * time.Millisecond)
			}
			s.want("is blocked")
			if n := s.looked(); n > 12 {
				t.Errorf("%+v: %d looks in ten seconds", e, n)
			}
		})
	}
}

// TestEventsAreChosen by the declaration.
func TestEventsAreChosen(t *testing.T) {
	play(t, notify.Receiver{Name: "ops", Every: time.Hour, Events: []notify.Event{notify.Expiring}}, func(s *stage) {
		s.with(func() { s.credential = rotation.Day })
		s.stands(blocked())
		s.want("the agent's own credential")
	})
}

// TestTheAgentsOwnRotationIsTrusted: of a credential that it rotates itself nobody
// is told before that is late.
func TestTheAgentsOwnRotationIsTrusted(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.with(func() { s.own, s.credential = "admin@service/own", 2*rotation.Day })
		s.stands()
		s.want()
		s.with(func() { s.credential = rotation.Day - time.Minute })
		s.stands()
		s.want("the agent should have replaced it; see: handover explain admin@service/own")
	})
}

// TestManyAreToldAsOne.
func TestManyAreToldAsOne(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		var slots []rotation.Status
		for i := range 300 {
			b := blocked()
			b.Slot = fmt.Sprintf("a@service/t%d", i)
			slots = append(slots, b)
		}
		s.with(func() { s.credential = rotation.Day })
		s.stands(slots...)
		s.with(func() {
			if len(s.got) != 2 || s.got[1].Count != 300 || len(s.got[1].Slots) != 5 || !strings.HasSuffix(s.got[1].Text, "See: handover status") {
				t.Errorf("told %+v", s.got)
			}
		})
		s.told()
		s.pass(time.Hour)
		s.want()
	})
}

// TestWhatIsNotSentIsSentAgain, as long as it is so.
func TestWhatIsNotSentIsSentAgain(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.with(func() { s.answer = errors.New("not now") })
		s.stands(blocked())
		s.pass(30 * time.Minute)
		if n := s.counted("ops failed"); n < 5 || n > 7 {
			t.Errorf("it failed %d times in half an hour", n)
		}
		s.with(func() { s.answer = nil })
		s.pass(7 * time.Minute)
		s.want("is blocked")
		s.pass(time.Hour)
		s.want()
		if n := s.counted("ops sent"); n != 1 {
			t.Errorf("%d are counted as sent", n)
		}
	})
}

// TestAReceiverThatHangsHoldsUpNobody: events go on, another is told, what finds
// no place is counted and told later.
func TestAReceiverThatHangsHoldsUpNobody(t *testing.T) {
	hangs := func(ctx context.Context, _ notify.Notice) error {
		<-ctx.Done()
		return ctx.Err()
	}
	play(t, notify.Receiver{Name: "hangs", Every: time.Hour, Send: hangs}, func(s *stage) {
		s.Use([]notify.Receiver{{Name: "hangs", Every: time.Hour, Send: hangs}, {Name: "ops", Every: time.Hour, Send: s.send}})
		for i := range 200 {
			s.Event(rotation.Event{Act: rotation.ActEmergency, Slot: fmt.Sprint(i), At: time.Now().Add(time.Duration(i))})
			s.pass(0)
		}
		if told := len(s.told()); told != 200 {
			t.Errorf("the other was told %d times", told)
		}
		if n := s.counted("hangs dropped"); n != 200-64-1 {
			t.Errorf("%d are counted as dropped", n)
		}
	})
}

// TestManyEventsAtOnce: those that the loop can't take in are counted.
func TestManyEventsAtOnce(t *testing.T) {
	counts := map[string]int{}
	n := notify.New(notify.Options{Agent: "acme", Count: func(to, result string) { counts[to+" "+result]++ }})
	n.Use([]notify.Receiver{{Name: "ops"}})
	for range 10_000 { // nobody runs it: it would wait for ever
		n.Event(rotation.Event{Act: rotation.ActEmergency, At: time.Now()})
	}
	if len(counts) != 1 || counts["ops dropped"] != 10_000-256 {
		t.Errorf("counted %v", counts)
	}
}

// TestReloads: one of the same name knows what it was told, a new one is told
// all, and without any nobody looks.
func TestReloads(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.stands(blocked())
		s.want("is blocked")
		s.Use([]notify.Receiver{{Name: "ops", Every: 24 * time.Hour, Send: s.send}, {Name: "new", Every: 24 * time.Hour, Send: s.send}})
		s.pass(0)
		s.want("is blocked")
		s.Use(nil)
		looks := s.looked()
		s.Event(rotation.Event{Act: rotation.ActEmergency, At: time.Now()})
		s.pass(time.Hour)
		if s.want(); s.looked() != looks {
			t.Errorf("%d looks for nobody", s.looked()-looks)
		}
	})
}

// TestAnUnreadableStatus is looked at again.
func TestAnUnreadableStatus(t *testing.T) {
	play(t, notify.Receiver{}, func(s *stage) {
		s.with(func() { s.broken = errors.New("the disk is full") })
		s.stands(blocked())
		s.want()
		s.with(func() { s.broken = nil })
		s.pass(2 * time.Minute)
		s.want("is blocked")
	})
}

// TestBodies: Slack's has one text with nothing that Slack would read as its own.
func TestBodies(t *testing.T) {
	n := notify.Notice{Event: notify.Blocked, Agent: "acme", At: time.Unix(0, 0).UTC(), Text: "a <b> & c", Slots: []string{slot}, Count: 1}
	slack, err := n.Slack()
	var read map[string]string
	if err = errors.Join(err, json.Unmarshal(slack, &read)); err != nil || len(read) != 1 || read["text"] != "Handover acme: a &lt;b&gt; &amp; c" {
		t.Errorf("Slack gets %s, %v", slack, err)
	}
	body, err := n.JSON()
	if want := `{"event":"blocked","agent":"acme","at":"1970-01-01T00:00:00Z","text":"a \u003cb\u003e \u0026 c","slots":["a@service/t"],"count":1}`; string(body) != want || err != nil {
		t.Errorf("programs get %s, %v", body, err)
	}
	other := n
	other.At = other.At.Add(1)
	if same := n; n.ID() != same.ID() || n.ID() == other.ID() {
		t.Error("ids don't tell notices apart")
	}
}
