package qualytics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// maxDays is the longest lifetime that the API takes, in days (D).
const maxDays = 365

// Tokens lists every service token of every service account (D): the whole
// list, or an error.
func (c *Client) Tokens(ctx context.Context) ([]rotation.Token, error) {
	return readWhole(ctx, c, tokenList("/user-tokens/service"))
}

// PersonalTokens lists the personal tokens of the agent's own user (D).
func (c *Client) PersonalTokens(ctx context.Context) ([]rotation.Token, error) {
	return readWhole(ctx, c, tokenList("/user-tokens"))
}

func tokenList(route string) list[rotation.Token] {
	return list[rotation.Token]{
		call: call{class: lists, method: http.MethodGet, route: route},
		id:   func(t rotation.Token) int64 { return t.ID },
		item: items(wireToken.token),
	}
}

// orderBody is what POST /user-tokens takes (D). A null lifetime is never.
type orderBody struct {
	Name     string `json:"name"`
	UserID   int64  `json:"user_id"`
	Days     *int   `json:"expires_in_days"`
	ScimOnly bool   `json:"scim_endpoints_only"`
}

// Issue mints a token (D). It is sent at most once. ErrDuplicate: the account
// has a token of that label. ErrUnavailable: nothing was sent.
// ErrUnknownOutcome: a token may exist, and its value is lost; so it is too
// when the answer is a success but cut, or is for another label or account.
func (c *Client) Issue(ctx context.Context, order rotation.Order) (rotation.Issued, error) {
	mint := &call{class: mints, method: http.MethodPost, route: "/user-tokens"}
	if err := checkOrder(order); err != nil {
		return rotation.Issued{}, mint.fail(refused, fmt.Errorf("%w; nothing was sent", err))
	}
	body := orderBody{Name: order.Label, UserID: order.UserID}
	if order.Days > 0 {
		body.Days = &order.Days
	}
	mint.body = body
	var issued rotation.Issued
	mint.answer = func(r io.Reader) (err error) {
		issued, err = c.readIssued(r, order)
		return err
	}
	if err := c.do(ctx, mint); err != nil {
		return rotation.Issued{}, err
	}
	return issued, nil
}

// checkOrder holds an order against the documented limits.
func checkOrder(order rotation.Order) error {
	switch {
	case order.UserID <= 0:
		return errors.New("the order names no account")
	case order.Label == "" || utf8.RuneCountInString(order.Label) > rotation.MaxTokenName:
		return fmt.Errorf("a token's name has 1 to %d characters", rotation.MaxTokenName)
	case order.Days < 0 || order.Days > maxDays:
		return fmt.Errorf("a lifetime is 1 to %d days, or 0 for never", maxDays)
	}
	return nil
}

// readIssued reads the one answer that holds a token's value. Its errors name
// no field's content. An answer without the expiry that was ordered gets it by
// the API's clock (G); the list tells it exactly.
func (c *Client) readIssued(r io.Reader, order rotation.Order) (rotation.Issued, error) {
	var wire struct {
		ID         int64    `json:"id"`
		Name       string   `json:"name"`
		Bearer     string   `json:"bearer_token"`
		Expiration stamp    `json:"expiration"`
		User       wireUser `json:"user"`
	}
	if err := decode(r, &wire); err != nil {
		return rotation.Issued{}, err
	}
	value := secret.New(wire.Bearer)
	switch account := wire.User.accountID(); {
	case wire.ID <= 0:
		return rotation.Issued{}, errors.New("it holds no id")
	case value.IsZero():
		return rotation.Issued{}, errors.New("it holds no bearer_token")
	case sendable(value) != nil:
		return rotation.Issued{}, errors.New("its bearer_token can't be sent in a header")
	case wire.Name != "" && wire.Name != order.Label:
		return rotation.Issued{}, errors.New("it is for a token of another name")
	case wire.User.ID != 0 && wire.User.ID != order.UserID,
		account != "" && order.AccountID != "" && account != order.AccountID:
		return rotation.Issued{}, errors.New("it is for another account")
	}
	issued := rotation.Issued{ID: wire.ID, Value: value, Expires: wire.Expiration.Time}
	if issued.Expires.IsZero() && order.Days > 0 {
		issued.Expires = c.Now().Add(time.Duration(order.Days) * rotation.Day)
	}
	return issued, nil
}

// Revoke makes a token invalid at once (D). A revoked token is no error.
func (c *Client) Revoke(ctx context.Context, tokenID int64) error {
	return c.setRevoked(ctx, tokenID, true)
}

// Restore undoes Revoke (D; its body is G). A live token is no error.
func (c *Client) Restore(ctx context.Context, tokenID int64) error {
	return c.setRevoked(ctx, tokenID, false)
}

// revocation is what PUT /user-tokens/{id} takes.
type revocation struct {
	Revoke bool `json:"revoke"`
}

// setRevoked puts the wanted state. A refusal may only mean that it is so
// already (G): then the list decides, and the refusal stands if the list can't
// be read.
func (c *Client) setRevoked(ctx context.Context, tokenID int64, revoked bool) error {
	refusal := c.do(ctx, &call{
		class: changes, method: http.MethodPut, route: "/user-tokens/{id}", path: tokenPath(tokenID),
		body:   revocation{revoked},
		answer: func(r io.Reader) error { return readState(r, !revoked) },
	})
	if !errors.Is(refusal, refused) {
		return refusal
	}
	tokens, err := c.Tokens(ctx)
	if err != nil {
		return refusal
	}
	for _, token := range tokens {
		if token.ID == tokenID && token.Active == !revoked {
			return nil
		}
	}
	return refusal
}

// readState reads the answer to a change: no body or some JSON (G). If it
// tells the token's state, it must be the wanted one.
func readState(r io.Reader, active bool) error {
	var wire any
	if err := decode(r, &wire); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	fields, _ := wire.(map[string]any)
	if told, ok := fields["active"].(bool); ok && told != active {
		return fmt.Errorf("it says success, and that the token is active: %t", told)
	}
	return nil
}

// Delete removes a revoked token for good (D). ErrRefused: it is active (G:
// 400 or 409). ErrMissing: it is gone, and that may be by this very call, if
// an attempt of it did the work and its answer was lost. What is gone stays
// gone either way, so the caller need not know.
func (c *Client) Delete(ctx context.Context, tokenID int64) error {
	return c.do(ctx, &call{
		class: changes, method: http.MethodDelete, route: "/user-tokens/{id}", path: tokenPath(tokenID), answer: nothing,
	})
}

func tokenPath(tokenID int64) string { return "/user-tokens/" + strconv.FormatInt(tokenID, 10) }
