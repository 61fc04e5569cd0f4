package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/handover-agent/handover/agent/report"
)

// compromisedAccount is what revoke --compromised prints.
type compromisedAccount struct {
	Account string `json:"account"`
	// Tokens are those that could be used at the start, and those that can now.
	Tokens []compromisedToken `json:"tokens"`
	// Targets are those that serve a dead token now.
	Targets []string `json:"targets"`
	// Deactivated: the account is out of use.
	Deactivated bool `json:"deactivated"`
	// Remaining is what a person has to do, a sentence each.
	Remaining []string `json:"remaining"`
}

// compromisedToken is a token as Qualytics lists it at the end.
type compromisedToken struct {
	report.Token
	// Foreign: it isn't one of the account's slots.
	Foreign bool `json:"foreign"`
	// RevokedAt is when it was revoked; nil where that wasn't told.
	RevokedAt *time.Time `json:"revoked_at"`
}

// remaining is the rest of the vendor's procedure. open is how many requests
// haven't ended.
func (c compromisedAccount) remaining(open int) (left []string) {
	add := func(format string, args ...any) { left = append(left, fmt.Sprintf(format, args...)) }
	foreign := 0
	for _, t := range c.Tokens {
		if t.Live {
			add("token %d (%s) lives still: the agent goes on if it was asked to; else revoke it by hand", t.ID, t.Label)
		}
		if t.Foreign {
			foreign++
		}
	}
	if open > 0 {
		add("not all has ended, %s left: 'handover status' tells how far they are", number(open, "request"))
	}
	if !c.Deactivated {
		add("deactivate %s in Qualytics: the agent could not", c.Account)
	}
	if foreign > 0 {
		add("find out who used the %s that this agent didn't issue, and who made them; delete them once they were observed", number(foreign, "token"))
	}
	text := "declare a new account under another name, with the same tokens and targets"
	if len(c.Targets) > 0 {
		text += "; until it has delivered, these serve dead tokens: " + strings.Join(c.Targets, ", ")
	}
	left = append(left, text)
	add("take %s out of the declaration", c.Account)
	add("rotate what the account could reach: each secret that one of its tokens could read")
	add("tell security, and write down what happened: 'handover history' has what the agent did")
	return left
}

func (c compromisedAccount) write(w io.Writer) error {
	rows := [][]any{{"TOKEN", "LABEL", "SLOT", "STATE", "AT"}}
	for _, t := range c.Tokens {
		state := "revoked"
		switch {
		case t.Live:
			state = "alive"
		case t.Active:
			state = "expired"
		}
		slot := t.Slot
		if t.Foreign {
			slot = "not this agent's"
		}
		rows = append(rows, []any{t.ID, t.Label, slot, state, stamp(t.RevokedAt)})
	}
	if err := columns(w, rows...); err != nil {
		return err
	}
	state := "is in use still"
	if c.Deactivated {
		state = "is out of use"
	}
	if _, err := fmt.Fprintf(w, "\n%s %s\n\nWhat remains to be done:\n", c.Account, state); err != nil {
		return err
	}
	for i, what := range c.Remaining {
		if _, err := fmt.Fprintf(w, "%d. %s\n", i+1, what); err != nil {
			return err
		}
	}
	return nil
}
