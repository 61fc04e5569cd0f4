package agent

import (
	"context"
	"time"

	"github.com/handover-agent/handover/rotation"
)

const (
	// credentialSoon is how long before its end the agent's own credential is
	// warned of, once a day: the vendor advises to renew a token 30 days before
	// (qualytics-api.md, "What the vendor recommends").
	credentialSoon = 30 * rotation.Day
	credentialLook = rotation.Day
)

// watchCredential tells the end of the agent's own credential when it starts,
// and warns of it once a day from thirty days before. It returns when ctx is
// done.
func (a *Agent) watchCredential(ctx context.Context) {
	a.tellCredential(true)
	ticker := time.NewTicker(credentialLook)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			a.tellCredential(false)
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) tellCredential(first bool) {
	end, known := a.client.CredentialExpires()
	left := end.Sub(a.client.Now())
	switch {
	case !known || end.IsZero():
		if first {
			a.log.Info("the end of the agent's own credential isn't known", "never", known)
		}
	case left < credentialSoon:
		a.log.Warn("the agent's own credential expires soon: put a new one in its place", "expires_at", end, "in", left.Round(time.Minute))
	case first:
		a.log.Info("the agent's own credential", "expires_at", end)
	}
}
