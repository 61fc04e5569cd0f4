package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// skew is how far the machine's clock may be off before it is worth a word. The
// agent goes by the API's time; logs and stores don't.
const skew = 30 * time.Second

// qualytics looks at the deployment, in the order in which one thing needs the
// other: what comes after the first that can't be had isn't asked.
func (x *examination) qualytics(ctx context.Context) []Finding {
	at := x.API.BaseURL()
	if err := x.API.Status(ctx); err != nil {
		return []Finding{fault("qualytics", at, err, "check qualytics.url, the network and the proxy")}
	}
	all := []Finding{{OK, "qualytics", at, "it answers and says that it is well", ""}, x.clock()}
	me, err := x.API.Me(ctx)
	if err != nil {
		return append(all, fault("credential", at, err, "put the token of a service account with the role Admin at qualytics.credential"))
	}
	tokens, err := x.API.Tokens(ctx)
	if err != nil {
		remedy := ""
		if errors.Is(err, rotation.ErrUnauthorized) {
			remedy = "give " + name(me) + " the role Admin"
		}
		return append(all, fault("credential", name(me), err, remedy))
	}
	live := Finding{OK, "credential", name(me), "it is live, and may do what an Admin may", ""}
	if trouble := x.API.CredentialTrouble(); trouble != nil {
		live = Finding{Warning, "credential", name(me), "it is live and an Admin's, but another should be in use: " + trouble.Error(),
			"put a working token at qualytics.credential"}
	}
	all = append(all, live, x.expiry(name(me)))
	return slices.Concat(all, x.calls(ctx), x.teams(ctx), x.others(ctx, tokens))
}

func name(me rotation.Identity) string {
	if me.AccountID == "" {
		return "the credential's account"
	}
	return me.AccountID
}

func (x *examination) clock() Finding {
	off := time.Until(x.API.Now()).Round(time.Second)
	if off.Abs() > skew {
		return Finding{Warning, "clock", "", fmt.Sprintf("this machine's clock differs from Qualytics' by %s", off.Abs()),
			"set it by NTP: rotation goes by Qualytics' time, but logs don't, and AWS refuses signatures of another time"}
	}
	return Finding{OK, "clock", "", "it goes with Qualytics'", ""}
}

func (x *examination) expiry(who string) Finding {
	end, known := x.API.CredentialExpires()
	left := end.Sub(x.API.Now())
	switch {
	case !known:
		return Finding{Warning, "credential_expiry", who, "its end can't be told", "note when it was made: a token lives for 365 days at most"}
	case end.IsZero():
		return Finding{Warning, "credential_expiry", who, "it never expires", "replace it by one that does, once a year at least"}
	case left < x.CredentialLead:
		return Finding{Warning, "credential_expiry", who, "it expires on " + end.UTC().Format(time.DateOnly), "put a new one in its place now"}
	}
	return Finding{OK, "credential_expiry", who, "it expires on " + end.UTC().Format(time.DateOnly), ""}
}

// calls compares what the agent calls with what the deployment says it has.
func (x *examination) calls(ctx context.Context) []Finding {
	missing, err := x.API.Missing(ctx)
	switch {
	case err != nil:
		return []Finding{{Warning, "calls", "openapi.json", "the deployment's own list of its calls can't be read: " + err.Error(), ""}}
	case len(missing) > 0:
		return []Finding{{Fault, "calls", "openapi.json", "the deployment lacks " + strings.Join(missing, ", "),
			"ask the vendor for a version with service tokens"}}
	}
	return []Finding{{OK, "calls", "openapi.json", "the deployment has every call that the agent makes", ""}}
}

// teams compares the declared teams with those that exist.
func (x *examination) teams(ctx context.Context) []Finding {
	known, err := x.API.Teams(ctx)
	if err != nil {
		return []Finding{{Warning, "teams", "", "they can't be listed: " + err.Error(), ""}}
	}
	var all []Finding
	told := map[string]bool{}
	for _, s := range x.Slots {
		for _, team := range s.Policy.Account.Teams {
			if !slices.Contains(known, team) && !told[team] {
				told[team] = true
				all = append(all, Finding{Fault, "teams", team, "there is no such team, and " + s.Policy.AccountID + " is to be in it",
					"make the team in Qualytics, or mend its name in the declaration"})
			}
		}
	}
	if all == nil {
		return []Finding{{OK, "teams", "", "every declared team exists", ""}}
	}
	return all
}

// others looks for tokens under this agent's labels that its journal doesn't
// know: another agent has the same id, or the journal was lost.
func (x *examination) others(ctx context.Context, tokens []rotation.Token) []Finding {
	var unknown []string
	for _, s := range x.Slots {
		rec, err := x.Journal.Slot(ctx, s.Policy.Slot)
		if err != nil && !errors.Is(err, rotation.ErrNoRecord) {
			continue // the journal's own finding tells
		}
		for _, t := range tokens {
			number, ours := rotation.ParseLabel(t.Label, s.Policy.Token, x.AgentID)
			if ours && t.AccountID == s.Policy.AccountID && !knows(rec, number, t.ID) {
				unknown = append(unknown, fmt.Sprintf("token %d (%s)", t.ID, t.Label))
			}
		}
	}
	if len(unknown) == 0 {
		return []Finding{{OK, "agent_id", x.AgentID, "no other agent has issued tokens under this id", ""}}
	}
	more := ""
	if most := 5; len(unknown) > most {
		more, unknown = fmt.Sprintf(" and %d more", len(unknown)-most), unknown[:most]
	}
	return []Finding{{Warning, "agent_id", x.AgentID, "not in this journal: " + strings.Join(unknown, ", ") + more,
		"if another agent has this agent.id, give one of them another; if the journal was lost, see handover resume --adopt"}}
}

// knows reports whether the record has the token: an intent counts, for the
// answer may be under way.
func knows(rec rotation.Record, number uint64, id int64) bool {
	if rec.Intent != nil && rec.Intent.Generation == number {
		return true
	}
	for _, g := range rec.Generations {
		if g.Number == number && (g.TokenID == id || g.TokenID == 0) {
			return true
		}
	}
	return false
}
