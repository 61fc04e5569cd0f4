package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics"
)

// placeTimeout bounds each look at a place of the agent's own credential.
const placeTimeout = 20 * time.Second

// places are where the agent's own token may stand in stores: its declared place
// first, then, where the agent rotates it, the slot's other targets.
type places struct {
	config.Credential
	targets []*backends.Target
}

// lend returns the places in force. Their backends stay open until release is
// called.
type lend func() (p places, release func())

// candidates is what may be the agent's own token.
func candidates(own config.Credential, lend lend) qualytics.Candidates {
	if own.From.Backend == "" {
		return qualytics.OnePlace(own.String(), own.Read)
	}
	return func(ctx context.Context) iter.Seq2[qualytics.Candidate, error] {
		return func(yield func(qualytics.Candidate, error) bool) {
			p, release := lend()
			defer release()
			p.each(ctx, yield)
		}
	}
}

// each yields what stands in the places; then, as spares, the versions before
// and the bootstrap.
func (p places) each(ctx context.Context, yield func(qualytics.Candidate, error) bool) {
	some := false
	for _, at := range []backends.Stage{backends.Current, backends.Previous} {
		for _, t := range p.targets {
			token, err := read(ctx, t, at)
			if at == backends.Previous && (err != nil || token.IsZero()) {
				continue // what can't be read there is no news
			}
			if err == nil && token.IsZero() {
				if p.Slot != "" {
					continue // the agent will deliver one
				}
				err = fmt.Errorf("nothing stands at %s: put the token of an Admin there", t.Key())
			}
			some = true
			if !yield(qualytics.Candidate{Value: token, From: from(t, at), Spare: at == backends.Previous}, err) {
				return
			}
		}
	}
	if p.Bootstrap.IsZero() {
		if !some {
			yield(qualytics.Candidate{}, fmt.Errorf("nothing stands at %s yet, and no bootstrap is declared: put a first token of an Admin there, or name one in qualytics.credential.bootstrap", p.From))
		}
		return
	}
	token, err := p.Bootstrap.Read()
	yield(qualytics.Candidate{Value: token, From: "bootstrap, " + p.Bootstrap.String(), Spare: true}, err)
}

func from(t *backends.Target, at backends.Stage) string {
	if at == backends.Current {
		return t.Key()
	}
	return at.String() + " version of " + t.Key()
}

// read is the token at a place; zero where nothing stands.
func read(ctx context.Context, t *backends.Target, at backends.Stage) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	reading, err := t.Read(ctx, at)
	if err == nil && reading.Present && reading.Token.IsZero() {
		err = &backends.Error{Op: "read", Ref: t.Ref, Kind: backends.ErrInvalid,
			Err: errors.New("what stands there is no token in the declared format")}
	}
	return reading.Token, err
}

// own is where the agent's own token stands by a declaration.
func (w *declared) own() places {
	return places{w.process.qualytics.Credential, w.ownTargets}
}

// lendOwn lends the places of the declaration in force.
func (a *Agent) lendOwn() (places, func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.declared
	d.passes.Add(1)
	return d.own(), d.passes.Done
}

// lendOwn lends the places of a declaration that stays.
func (w *declared) lendOwn() (places, func()) { return w.own(), func() {} }
