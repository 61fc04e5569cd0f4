package config

import (
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
)

// The types below are the declaration as it is written: their tags are the
// schema, the reference and the decoder's rules. What the agent uses is
// [Declaration].

type fileKeys struct {
	Version      int                        `yaml:"version" default:"1" enum:"1" doc:"the version of this format"`
	Agent        agentKeys                  `yaml:"agent" required:"true" doc:"the agent itself"`
	State        stateKeys                  `yaml:"state" doc:"where the journal stands"`
	Backends     map[string]backendKeys     `yaml:"backends" doc:"the stores, by a name of your choice"`
	Qualytics    qualyticsKeys              `yaml:"qualytics" required:"true" doc:"the Qualytics instance and the agent's own access to it"`
	Defaults     environmentKeys            `yaml:"defaults" doc:"what holds for every token that doesn't say otherwise"`
	Environments map[string]environmentKeys `yaml:"environments" doc:"what holds for the tokens of an environment, by its name"`
	Notify       []notifyKeys               `yaml:"notify" doc:"who is told what a person should look at"`
	Accounts     []accountKeys              `yaml:"accounts" required:"true" doc:"the service accounts and their tokens"`
}

type agentKeys struct {
	ID         string        `yaml:"id" required:"true" pattern:"^[a-z0-9-]{1,32}$" doc:"stands in the label of every token that this agent issues; another agent on the same instance needs another id"`
	Listen     string        `yaml:"listen" default:"127.0.0.1:9632" doc:"the address of health, metrics and the status page"`
	Socket     string        `yaml:"socket" default:"/run/handover/control.sock" path:"true" doc:"the control socket, through which commands reach a running agent"`
	DriftCheck time.Duration `yaml:"drift_check" default:"1h" doc:"how often each target is looked at while nothing else is to do"`
	Sweep      time.Duration `yaml:"sweep" default:"5m" doc:"how old the list of tokens may grow before it is asked for again"`
}

type stateKeys struct {
	SQLite string `yaml:"sqlite" default:"/var/lib/handover/state.db" path:"true" doc:"the journal's file; one agent at a time"`
}

type qualyticsKeys struct {
	URL        string         `yaml:"url" required:"true" doc:"the instance, such as https://acme.qualytics.io; plain http only to a loopback address"`
	Credential credentialKeys `yaml:"credential" required:"true" doc:"where the token of an Admin stands, with which the agent works"`
	CAFile     string         `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	Rate       float64        `yaml:"rate" default:"10" doc:"the most calls per second"`
	Timeout    time.Duration  `yaml:"timeout" default:"30s" doc:"the longest wait for one answer"`
}

type environmentKeys struct {
	Rotation     rotationKeys       `yaml:"rotation" doc:"when tokens are replaced, and how the old ones are retired"`
	OnRemove     string             `yaml:"on_remove" enum:"keep|retire" doc:"what becomes of the tokens of a slot that is taken out of the declaration; built in: keep"`
	OnDelivery   []deliveryHookKeys `yaml:"on_delivery" doc:"who is told each time that a target has come to serve a token"`
	OnRevocation []tellKeys         `yaml:"on_revocation" doc:"who is told each time that a token is revoked"`
}

type rotationKeys struct {
	Lifetime *span `yaml:"lifetime" words:"never" doc:"how long a token is valid: whole days, 1d to 365d; built in: 365d"`
	Every    *span `yaml:"every" words:"never" doc:"the age at which a token is replaced; never only with lifetime: never; built in: 335d"`
	Grace    *span `yaml:"grace" doc:"how long the old and the new token both live, from the last time that any target was seen to serve the old one; built in: 7d"`
	Hold     *span `yaml:"hold" words:"until-unused" doc:"how much longer than the grace an old token lives that is still used; built in: 7d"`
	Quiet    *span `yaml:"quiet" doc:"how long unused ends the hold; built in: 24h"`
	Observe  *span `yaml:"observe" doc:"how long a revoked token can be restored before it is deleted; built in: 7d"`
}

// backendKeys is one entry of backends: its type, and the options of the
// driver of that type.
type backendKeys struct {
	Type string `yaml:"type" required:"true" doc:"the kind of store"`

	driver  backends.Driver
	options any
	// ok: the driver is known and its options are without a mistake.
	ok bool
}

type accountKeys struct {
	Name          string      `yaml:"name" required:"true" doc:"the account's name in Qualytics, which makes its id: Pipeline Automation is pipeline_automation@service"`
	Role          string      `yaml:"role" required:"true" enum:"Admin|Manager|Editor|Member" doc:"the account's role; start with Member"`
	Teams         []string    `yaml:"teams" doc:"the account's teams by name; Public is always among them"`
	Owner         string      `yaml:"owner" required:"true" doc:"who answers for the account: a person or a team that can be reached"`
	Purpose       string      `yaml:"purpose" required:"true" doc:"what the account is for"`
	Justification string      `yaml:"justification" doc:"why the account needs its role; must be given for Manager and Admin"`
	OnRemove      string      `yaml:"on_remove" enum:"keep|retire" doc:"the on_remove of its tokens that say none of their own"`
	Tokens        []tokenKeys `yaml:"tokens" doc:"the account's tokens; each is one slot that the agent keeps filled"`
}

type tokenKeys struct {
	Name                 string             `yaml:"name" required:"true" pattern:"^[A-Za-z0-9._-]+$" doc:"the token's name, unique in its account; best with environment, purpose and system: pipeline-production"`
	Environment          string             `yaml:"environment" doc:"the environment that it is for; its rotation settings are taken from environments"`
	Rotation             rotationKeys       `yaml:"rotation" doc:"rotation settings of this token alone"`
	OnExternalRevocation string             `yaml:"on_external_revocation" default:"reissue" enum:"reissue|block" doc:"what follows when somebody else revokes or deletes the token: issue a new one, or wait for a person"`
	OnRemove             string             `yaml:"on_remove" enum:"keep|retire" doc:"what becomes of the tokens when the slot is taken out of the declaration: they are left as they are, with a warning, or ended (grace, revoke, delete); the agent's own credential is always kept; built in: keep"`
	OnDelivery           []deliveryHookKeys `yaml:"on_delivery" doc:"who is told each time that a target has come to serve this token, instead of what its environment or defaults say; [] is nobody"`
	OnRevocation         []tellKeys         `yaml:"on_revocation" doc:"the same for each time that one of its tokens is revoked"`
	Deliver              []targetKeys       `yaml:"deliver" required:"true" doc:"the places where the token must stand"`
}

// targetKeys is one entry of deliver: its own keys, those of the format, and
// those that the backend's driver adds.
type targetKeys struct {
	Backend   string `yaml:"backend" required:"true" doc:"the name of a backend declared under backends"`
	Path      string `yaml:"path" required:"true" doc:"the place in the backend"`
	Consumer  string `yaml:"consumer" doc:"who reads here; the format implies one; a grace below what it needs is a warning"`
	OnForeign string `yaml:"on_foreign" default:"refuse" enum:"refuse|take_over" doc:"what happens to a value that isn't the agent's: leave it and report, or replace it"`

	spec    payload.Spec
	options any
	ok      bool
}
