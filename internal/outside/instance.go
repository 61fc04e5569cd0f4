package outside

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// askTimeout bounds one request of a consumer or an Admin.
	askTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 20
)

// Fetch does one request and reads its answer whole. A nil client is
// http.DefaultClient.
func Fetch(client *http.Client, req *http.Request) (status int, body []byte, err error) {
	if client == nil {
		client = http.DefaultClient
	}
	ctx, cancel := context.WithTimeout(req.Context(), askTimeout)
	defer cancel()
	answer, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, body, err
}

// Instance is a simulated Qualytics, asked as a person with an Admin's token
// would, by plain HTTP.
type Instance struct {
	// Base is its URL without /api.
	Base string
	// Admin is an Admin's token.
	Admin string
	// Client asks it; nil is http.DefaultClient.
	Client *http.Client
}

// Listed is an entry of GET /user-tokens/service: a service token that isn't
// deleted.
type Listed struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Active bool   `json:"active"`
	User   struct {
		ID     int64  `json:"id"`
		UserID string `json:"user_id"`
	} `json:"user"`
}

// Ask does one call with a token and reads a success into the given value.
func (q Instance) Ask(ctx context.Context, method, path, token string, body, into any) (int, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, q.Base+"/api"+path, bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	status, text, err := Fetch(q.Client, req)
	if err == nil && status < 300 && into != nil {
		err = json.Unmarshal(text, into)
	}
	return status, err
}

// Tokens is the list of all service tokens that aren't deleted.
func (q Instance) Tokens(ctx context.Context) ([]Listed, error) {
	var all []Listed
	code, err := q.Ask(ctx, http.MethodGet, "/user-tokens/service", q.Admin, nil, &all)
	if err == nil && code >= 300 {
		err = fmt.Errorf("GET /user-tokens/service: %d", code)
	}
	return all, err
}

// Of is the tokens of one slot of an agent, by its id.
func Of(all []Listed, agent, slot string) []Listed {
	account, token, _ := strings.Cut(slot, "/")
	var mine []Listed
	for _, one := range all {
		if one.User.UserID == account && strings.HasPrefix(one.Name, token+"."+agent+".g") {
			mine = append(mine, one)
		}
	}
	return mine
}

// Whose asks which account a token is of. The status is 401 for a dead one.
func (q Instance) Whose(ctx context.Context, token string) (accountID string, code int, err error) {
	var me struct {
		UserID string `json:"user_id"`
	}
	code, err = q.Ask(ctx, http.MethodGet, "/users/me", token, nil, &me)
	return me.UserID, code, err
}
