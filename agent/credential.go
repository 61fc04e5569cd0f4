package agent

import (
	"context"
	"sync"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/filewatch"
	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/qualytics"
	"github.com/handover-agent/handover/rotation"
)

// Qualytics' refusals have the client look for another credential by themselves.
// What follows looks before they come, and tells of the end of the one in use.

const (
	// credentialTell is how often the end that comes near is told.
	credentialTell = rotation.Day
	// credentialRetry is how soon a look follows one that went wrong, and how
	// often it is asked whether one did.
	credentialRetry = time.Minute
)

// keepCredential looks for a new credential when its file changes, and in a store
// from time to time; it tells the end of the one in use at the start and after
// each change, and warns once a day when it comes near. It returns when ctx is
// done.
func (a *Agent) keepCredential(ctx context.Context) {
	changed, wait := a.watchCredentialFile(ctx)
	defer wait()
	a.keepCredentialAnd(ctx, changed)
}

// watchCredentialFile signals changes of the file that holds the credential, if
// there is one. wait returns once it has ended, after ctx is done.
func (a *Agent) watchCredentialFile(ctx context.Context) (changed <-chan struct{}, wait func()) {
	path := a.current().process.qualytics.Credential.File
	if path == "" {
		return nil, func() {}
	}
	file, err := filewatch.New(path)
	if err != nil {
		a.log.Warn("changes of the credential's file aren't noticed at once, only when Qualytics refuses the token", "error", err)
		return nil, func() {}
	}
	signal := make(chan struct{}, 1)
	var watching sync.WaitGroup
	watching.Go(func() {
		err := file.Run(ctx, func() {
			select {
			case signal <- struct{}{}:
			default: // one is under way already
			}
		})
		if err != nil {
			a.log.Warn("changes of the credential's file aren't noticed any more, only when Qualytics refuses the token", "error", err)
		}
	})
	return signal, watching.Wait
}

func (a *Agent) keepCredentialAnd(ctx context.Context, changed <-chan struct{}) {
	daily := time.NewTicker(credentialTell)
	defer daily.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	var told secret.Fingerprint
	var seen backends.Version
	for {
		fresh := false
		select {
		case <-ctx.Done():
			return
		case <-daily.C:
			a.tellCredential(false)
			continue
		case <-changed:
			fresh = true
		case <-again.C:
		}
		again.Reset(a.lookAtCredential(ctx, &seen, fresh))
		if now := a.client.InUse(); now != told {
			told = now
			a.tellCredential(true)
		}
	}
}

// lookAtCredential has the client look for another credential, if there may be
// one: it has none, its file changed, the store doesn't say that what stands there
// is what was seen before, or what stands there didn't work last. It returns when
// to look again.
func (a *Agent) lookAtCredential(ctx context.Context, seen *backends.Version, changed bool) time.Duration {
	every := a.current().process.qualytics.Credential.Every
	stored := every > 0
	if !stored {
		every = credentialRetry
	}
	state := a.client.Credential()
	well := state.From != "" && state.Trouble == nil && !changed
	version, known := a.describeCredential(ctx)
	if well && (!stored || known && version == *seen) {
		return every
	}
	if err := a.client.RenewCredential(ctx); err != nil { // the client has told it
		return min(every, credentialRetry)
	}
	*seen = version
	return every
}

// describeCredential is the version of what stands at the credential's place, if
// its store can tell that without the secret.
func (a *Agent) describeCredential(ctx context.Context) (backends.Version, bool) {
	p, release := a.lendOwn()
	defer release()
	if len(p.targets) == 0 || !p.targets[0].Describes() {
		return backends.Absent, false
	}
	ctx, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	_, version, err := p.targets[0].Describe(ctx)
	return version, err == nil && version != backends.Absent
}

// own is the client's credential as the slot needs it that keeps it.
type own struct{ client *qualytics.Client }

// TakeUp implements rotation.Own. An emergency may wait for it.
func (o own) TakeUp(ctx context.Context) {
	_ = o.client.Urgent().RenewCredential(ctx) // the client tells what goes wrong
}

// Works implements rotation.Own.
func (o own) Works() secret.Fingerprint { return o.client.Credential().Working }

// tellCredential logs the end of the credential in use. fresh: it came into use
// just now.
func (a *Agent) tellCredential(fresh bool) {
	end, known := a.client.CredentialExpires()
	now := a.client.Now()
	remedy := "put a new one in its place"
	if slot := a.current().process.qualytics.Credential.Slot; slot != "" {
		remedy = "the agent should have replaced it: handover explain " + slot
	}
	switch {
	case !known || end.IsZero():
		if fresh {
			a.log.Info("the end of the agent's own credential isn't known", "never", known)
		}
	case !now.Before(end):
		a.log.Error("the agent's own credential has expired", "expired_at", end, "remedy", remedy)
	case !now.Before(end.Add(-a.current().ownLead())):
		a.log.Warn("the agent's own credential expires soon", "expires_at", end, "in", end.Sub(now).Round(time.Minute), "remedy", remedy)
	case fresh:
		a.log.Info("the agent's own credential", "expires_at", end)
	}
}

// ownLead is how long before its end the agent's own credential is warned of.
// One that the agent rotates has to be late for that.
func (w *declared) ownLead() time.Duration {
	i, rotated := w.slots[w.process.qualytics.Credential.Slot]
	if !rotated {
		return report.CredentialWarning
	}
	s := w.policies[i].Schedule
	return min(report.CredentialWarning, (s.Lifetime-s.Every)/2)
}

// credentialStatus tells how the agent's own credential stands.
func (a *Agent) credentialStatus(declared config.Credential) *report.Credential {
	state := a.client.Credential()
	if state.From == "" {
		state.From = declared.String()
	}
	told := &report.Credential{From: state.From, Slot: declared.Slot}
	if !state.Since.IsZero() {
		since := state.Since.UTC()
		told.Since = &since
	}
	if state.Trouble != nil {
		told.Error = state.Trouble.Error()
	}
	return told
}
