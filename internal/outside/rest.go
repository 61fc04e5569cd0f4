package outside

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Unsettled says what keeps a slot from rest, by a list of all tokens; "" for
// nothing. At rest a slot has one token, which is live and held by all its
// consumers.
func Unsettled(ctx context.Context, q Instance, all []Listed, agent, slot string, consumers []Consumer) string {
	mine := Of(all, agent, slot)
	if len(mine) != 1 || !mine[0].Active {
		return fmt.Sprintf("the API lists %v", describe(mine))
	}
	for _, c := range consumers {
		if c.Slot != slot {
			continue
		}
		token, err := c.Read(ctx)
		if err != nil {
			return fmt.Sprintf("%s: %v", c.Name, err)
		}
		if id := tokenID(token); id != strconv.FormatInt(mine[0].ID, 10) {
			return fmt.Sprintf("%s holds the token %q, not %d", c.Name, id, mine[0].ID)
		}
		if account, code, err := q.Whose(ctx, token); account != c.Account() {
			return fmt.Sprintf("%s: its token is answered with %d, of %q, %v", c.Name, code, account, err)
		}
	}
	return ""
}

func describe(tokens []Listed) []string {
	var all []string
	for _, t := range tokens {
		state := "revoked"
		if t.Active {
			state = "live"
		}
		all = append(all, fmt.Sprintf("%s (%d, %s)", t.Name, t.ID, state))
	}
	return all
}

// tokenID is the number of a token, as the simulator writes it into its claims;
// "" for what is no such token.
func tokenID(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		ID string `json:"jti"`
	}
	if json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.ID
}
