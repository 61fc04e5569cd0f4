package config

import (
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/rotation"
)

// Declaration is a declaration that passed every check, with defaults filled
// in, paths rooted and formats made. It is not changed once it is in use; who
// loads it may replace fields before (as `handover dev` does).
type Declaration struct {
	Agent     Agent
	State     State
	Qualytics Qualytics
	// Backends are in the order of their names.
	Backends []Backend
	// Notify are told what a person should look at.
	Notify []Notify
	// Accounts are in the order of the file.
	Accounts []Account
	// Warnings are what is legal and doubtful, sorted by place.
	Warnings []Problem
}

// Agent is the agent itself.
type Agent struct {
	// ID is in every label: [a-z0-9-]{1,32}.
	ID string
	// Listen is the host:port of health, metrics and page.
	Listen string
	// Socket is the control socket's path.
	Socket string
	// DriftCheck is how often a target is read at rest, Sweep how old the
	// token list may be at rest. Both at least a second.
	DriftCheck, Sweep time.Duration
}

// State is where the journal stands.
type State struct {
	// SQLite is the journal's file.
	SQLite string
}

// Qualytics is the instance and the agent's own access to it.
type Qualytics struct {
	// URL has neither a trailing slash nor /api.
	URL string
	// Credential is where the token of an Admin stands.
	Credential Credential
	// CAFile is a PEM file to trust instead of the system's; "" is none.
	CAFile string
	// Rate is the most calls per second, more than 0.
	Rate float64
	// Timeout is the longest wait for one answer.
	Timeout time.Duration
}

// Backend is a declared store, not yet opened.
type Backend struct {
	Name   string
	Driver backends.Driver
	// Options is what Driver.Options returned, filled.
	Options    any
	Properties backends.Properties
}

// Account is a declared service account.
type Account struct {
	// ID is "<id>@service", made from Name.
	ID   string
	Name string
	// Role is Admin, Manager, Editor or Member.
	Role  string
	Teams []string
	// Owner, Purpose and Justification are for people.
	Owner, Purpose, Justification string
	Tokens                        []Token
}

// Token is a declared token: one slot.
type Token struct {
	Name        string
	Environment string
	Schedule    rotation.Schedule
	// BlockOnRevocation: a token revoked by others waits for a person.
	BlockOnRevocation bool
	// RetireRemoved: its tokens are ended when it leaves the declaration.
	RetireRemoved bool
	// OnDelivery and OnRevocation are told of this token; tokens that take
	// them from one place share them.
	OnDelivery, OnRevocation []TokenHook
	// Deliver has at least one target.
	Deliver []Target
}

// Target is a declared place of a token.
type Target struct {
	Ref        backends.Ref
	Format     backends.Format
	FormatName string
	// Consumer is who reads there, declared or implied; may be "".
	Consumer string
	// TakeOver: a value that isn't the agent's may be replaced.
	TakeOver bool
}

// Slot names the token's slot in its account: "<account id>/<token name>".
func (a Account) Slot(t Token) string { return rotation.Slot(a.ID, t.Name) }

// Policies is the declaration as the engine takes it, one for each slot, in
// the order of the file.
func (d *Declaration) Policies() []rotation.Policy {
	slots := 0
	for _, account := range d.Accounts {
		slots += len(account.Tokens)
	}
	all := make([]rotation.Policy, 0, slots)
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			all = append(all, d.policy(account, token))
		}
	}
	return all
}

func (d *Declaration) policy(account Account, token Token) rotation.Policy {
	p := rotation.Policy{
		Slot:              account.Slot(token),
		AgentID:           d.Agent.ID,
		Account:           rotation.AccountSpec{Name: account.Name, Role: account.Role, Teams: account.Teams},
		AccountID:         account.ID,
		Token:             token.Name,
		Environment:       token.Environment,
		URL:               d.Qualytics.URL,
		Schedule:          token.Schedule,
		BlockOnRevocation: token.BlockOnRevocation,
		RetireRemoved:     token.RetireRemoved,
		OnDelivery:        hookPolicies(token.OnDelivery),
		OnRevocation:      hookPolicies(token.OnRevocation),
		Own:               account.Slot(token) == d.Qualytics.Credential.Slot,
		DriftCheck:        d.Agent.DriftCheck,
		Sweep:             d.Agent.Sweep,
		Targets:           make([]rotation.TargetPolicy, 0, len(token.Deliver)),
	}
	for _, target := range token.Deliver {
		p.Targets = append(p.Targets, rotation.TargetPolicy{
			Key: target.Ref.String(), TakeOver: target.TakeOver, Lossy: target.Format.Lossy(),
		})
	}
	return p
}
