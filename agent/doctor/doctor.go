// Package doctor looks at all that an agent needs before and while it works: its
// credential, the calls of the deployment, the stores, the journal, the clock,
// and what a declaration leaves to doubt. It changes nothing. The one token that
// it uses is the agent's own.
package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// Verdict is what a finding means.
type Verdict string

// The verdicts.
const (
	// OK: as it should be.
	OK Verdict = "ok"
	// Warning: the agent works, and a person should look.
	Warning Verdict = "warning"
	// Fault: the agent can't do a part of its work.
	Fault Verdict = "fault"
)

// Finding is what one check found.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Check is what was looked at, in a word that stays: "credential".
	Check string `json:"check"`
	// On is the thing itself: a backend's name, a path, an address.
	On string `json:"on,omitempty"`
	// Found is one sentence for people; Remedy is what to do, "" when nothing.
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// Report is what all checks found, in their order.
type Report struct {
	Findings []Finding `json:"findings"`
	// Counts are how many findings have each verdict.
	Counts map[Verdict]int `json:"counts"`
}

// Healthy reports whether nothing is a fault.
func (r Report) Healthy() bool { return r.Counts[Fault] == 0 }

// Source is what there is to look at. API, Journal and Slots are needed.
type Source struct {
	AgentID string
	API     API
	Journal Journal
	// Slots are the declared slots with their open backends.
	Slots []rotation.Declared
	// CredentialLead is how long before its end the credential is warned of.
	CredentialLead time.Duration
	// Doubts are the warnings of the declaration, each with its place.
	Doubts []string
}

// API is what the doctor asks of Qualytics.
type API interface {
	// BaseURL is where it is.
	BaseURL() string
	// Now is the API's time, from its last answer on.
	Now() time.Time
	// Status asks for the deployment's health, without a credential.
	Status(ctx context.Context) error
	// Me says who the credential is.
	Me(ctx context.Context) (rotation.Identity, error)
	// CredentialExpires is the credential's end, as far as it can be told.
	CredentialExpires() (time.Time, bool)
	// CredentialTrouble is why the credential that works isn't the one that
	// stands at its place; nil: it is.
	CredentialTrouble() error
	// Missing lists the calls that the agent makes and the deployment's own
	// document doesn't have.
	Missing(ctx context.Context) ([]string, error)
	// Teams are the names of the teams.
	Teams(ctx context.Context) ([]string, error)
	// Tokens lists every service token: only an Admin may.
	Tokens(ctx context.Context) ([]rotation.Token, error)
}

// Journal is what the doctor reads of the journal.
type Journal interface {
	// Path is where it stands.
	Path() string
	// Inspect says why an agent could not open it and write it. Else holder is
	// the agent that has it open now; "" is none.
	Inspect(ctx context.Context) (holder string, err error)
	// Slot is the record of one slot, or rotation.ErrNoRecord.
	Slot(ctx context.Context, slot string) (rotation.Record, error)
}

// patience bounds each look at one target.
const patience = 20 * time.Second

// atOnce is how many targets are asked at the same time.
const atOnce = 8

// Examine runs every check. It returns when all have ended; once ctx is done,
// what is left is a fault that says so.
func Examine(ctx context.Context, source Source) Report {
	x := &examination{Source: source}
	var qualytics, stores, journal []Finding
	var all sync.WaitGroup
	all.Go(func() { qualytics = x.qualytics(ctx) })
	all.Go(func() { stores = x.stores(ctx) })
	all.Go(func() { journal = x.journal(ctx) })
	all.Wait()
	r := Report{Findings: slices.Concat(qualytics, stores, journal, x.doubts()), Counts: map[Verdict]int{OK: 0, Warning: 0, Fault: 0}}
	for _, f := range r.Findings {
		r.Counts[f.Verdict]++
	}
	return r
}

type examination struct{ Source }

// doubts are the declaration's warnings: consumers' floors among them.
func (x *examination) doubts() []Finding {
	if len(x.Doubts) == 0 {
		return []Finding{{OK, "declaration", "", "nothing in it is doubtful", ""}}
	}
	var all []Finding
	for _, d := range x.Doubts {
		all = append(all, Finding{Warning, "declaration", "", d, ""})
	}
	return all
}

// fault makes a finding of an error, whose text says what to do.
func fault(check, on string, err error, remedy string) Finding {
	return Finding{Fault, check, on, err.Error(), remedy}
}

// backendOf is the name of a target's backend.
func backendOf(t *backends.Target) string { return t.Ref.Backend }
