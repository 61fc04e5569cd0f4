package qualytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// whoami remembers that the deployment has no GET /users/me.
type whoami struct{ absent atomic.Bool }

// Prove uses a token once. nil: it is live. ErrDead: it got 401.
//
// 403 is ErrRefused, not ErrDead: the API knew the token and would not let it
// do this. A token for SCIM alone gets it, and perhaps one of a deactivated
// account (G). So "dead" is only said of what can't come back by itself.
func (c *Client) Prove(ctx context.Context, token secret.Value) (rotation.Identity, error) {
	if err := sendable(token); err != nil {
		proof := &call{class: proofs, method: http.MethodGet, route: "/users/me"}
		return rotation.Identity{}, proof.fail(refused, fmt.Errorf("what was to be proved is no token: %w; nothing was sent", err))
	}
	return c.identify(ctx, proofs, token)
}

// Me tells who the agent's own credential is; ErrUnauthorized when it is bad.
func (c *Client) Me(ctx context.Context) (rotation.Identity, error) {
	return c.identify(ctx, reads, secret.Value{})
}

// identify is the one place that knows how a token is tried (G). It asks
// GET /users/me. Where that isn't there, or not for this token, a page of one
// team decides, which any role may read (G). A router that takes "me" for a
// user's number answers 422, not 404.
func (c *Client) identify(ctx context.Context, of class, token secret.Value) (rotation.Identity, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if c.who.absent.Load() {
		return rotation.Identity{}, c.askTeams(ctx, of, token)
	}
	who, err := c.askMe(ctx, of, token)
	var fail *rotation.APIError
	if !errors.As(err, &fail) {
		return who, nil
	}
	switch fail.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		err = c.askTeams(ctx, of, token)
		if err == nil {
			c.who.absent.Store(true)
		}
	case http.StatusForbidden:
		err = c.askTeams(ctx, of, token)
	}
	return rotation.Identity{}, err
}

func (c *Client) askMe(ctx context.Context, of class, token secret.Value) (rotation.Identity, error) {
	var who rotation.Identity
	err := c.do(ctx, &call{
		class: of, method: http.MethodGet, route: "/users/me", token: token,
		answer: func(r io.Reader) error {
			var wire wireUser
			if err := decode(r, &wire); err != nil {
				return err
			}
			if wire.ID == 0 && wire.accountID() == "" {
				return errors.New("it names no user")
			}
			who = rotation.Identity{AccountID: wire.accountID(), Role: string(wire.Role)}
			return nil
		},
	})
	return who, err
}

func (c *Client) askTeams(ctx context.Context, of class, token secret.Value) error {
	return c.do(ctx, &call{
		class: of, method: http.MethodGet, route: "/teams", token: token,
		query: url.Values{"page": {"1"}, "size": {"1"}},
		answer: func(r io.Reader) error {
			return new(page[Team]).read(json.NewDecoder(r), items(readTeam))
		},
	})
}
