package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// Credential is where the agent's own token stands: in the Source, or at a place
// of a store. None of them is read when the declaration is loaded.
type Credential struct {
	secret.Source
	// From is the place in a store; the zero Ref is none.
	From backends.Ref
	// Format gives the token back from what stands there.
	Format backends.Format
	// Every is how often that place is looked at, at least a second.
	Every time.Duration
	// Slot is the declared slot whose token it is: From is one of its targets,
	// and the agent rotates it. "" is a token that somebody else looks after.
	Slot string
	// Bootstrap is where a first token of a Slot stands, for the time when its
	// targets hold none that works; may be zero.
	Bootstrap secret.Source
}

// IsZero reports whether no place is named.
func (c Credential) IsZero() bool { return c.Source.IsZero() && c.From.Backend == "" }

// String names the place, not what stands there.
func (c Credential) String() string {
	if c.From.Backend != "" {
		return c.From.String()
	}
	return c.Source.String()
}

// credentialKeys is qualytics.credential as it is written; with a backend, the
// keys of a format and those of the driver's targets stand beside them.
type credentialKeys struct {
	File      string        `yaml:"file" path:"true" doc:"a file that holds the token and nothing else; read again when it changes, and when Qualytics refuses the token"`
	Env       string        `yaml:"env" doc:"the name of an environment variable that holds the token"`
	Backend   string        `yaml:"backend" doc:"the name of a backend declared under backends that holds the token; with path and, unless self says otherwise, format and its keys"`
	Path      string        `yaml:"path" doc:"backend: the place in it"`
	Every     time.Duration `yaml:"every" default:"5m" doc:"backend: how often it is looked whether another token stands there; beside that, whenever Qualytics refuses the token"`
	Self      bool          `yaml:"self" default:"false" doc:"backend: the place is a target of a declared token, so the agent rotates its own credential; the token's account needs the role Admin, and the format is the target's"`
	Bootstrap secret.Source `yaml:"bootstrap" doc:"self: where a first token of an Admin stands, made by a person; used while the targets hold none that works"`

	spec    payload.Spec
	options any
	ok      bool
}

const credentialPath = "qualytics.credential"

// credential fills qualytics.credential. Which keys it may have depends on
// whether it is in a backend, and whether the agent rotates it.
func (d *decoder) credential(n *yaml.Node, path string, out reflect.Value) {
	keys := out.Addr().Interface().(*credentialKeys)
	if n.Kind == yaml.ScalarNode {
		d.notASource(n, path)
		return
	}
	self := d.valueAt(n, "self")
	switch rotated := self != nil && self.Value == "true"; {
	case d.valueAt(n, "backend") == nil:
		keys.ok = d.mapping(n, path, out)
	case !rotated:
		keys.options, keys.ok = d.place(n, path, out, reflect.ValueOf(&keys.spec).Elem())
	default:
		ofTarget := optionNames(d.registry, targetOptions)
		for _, f := range d.fieldsOf(reflect.TypeFor[payload.Spec]()) {
			ofTarget[f.name] = true
		}
		before := d.faults
		for name := range ofTarget {
			if value := d.valueAt(n, name); value != nil {
				d.report(value, join(path, name), "with self: true, %q is what the target says that the path names; take it out here", name)
			}
		}
		keys.ok = d.keys(n, path, ofTarget, out) && d.faults == before
	}
	if keys.ok {
		keys.ok = d.onePlace(n, path, keys)
	}
}

// onePlace sees to it that exactly one place is named, with the keys that it
// needs and no others.
func (d *decoder) onePlace(n *yaml.Node, path string, keys *credentialKeys) bool {
	before := d.faults
	named := slices.DeleteFunc([]string{keys.File, keys.Env, keys.Backend}, func(s string) bool { return s == "" })
	switch {
	case len(named) == 0:
		d.report(n, path, "%s must say where the secret stands: {file: /path}, {env: NAME}, or {backend: NAME, path: …, format: token}", lastKey(path))
	case len(named) > 1:
		d.report(n, path, "%s names more than one of file, env and backend; keep one", lastKey(path))
	case keys.Env != "" && !variableName.MatchString(keys.Env):
		d.report(n, path, "env must be the name of an environment variable: letters, digits and underscores")
	case keys.Backend != "" && keys.Path == "":
		d.report(n, path, "the key \"path\" is missing: the place in the backend %q; add it", keys.Backend)
	}
	for _, key := range []struct {
		name, needs string
		fits        bool
	}{
		{"path", "backend", keys.Backend != ""},
		{"every", "backend", keys.Backend != ""},
		{"self", "backend", keys.Backend != "" || !keys.Self},
		{"bootstrap", "self: true", keys.Self},
	} {
		if at, given := d.places[join(path, key.name)]; given && !key.fits {
			d.report(at.value, join(path, key.name), "%q has a meaning only with %s; take it out", key.name, key.needs)
		}
	}
	return d.faults == before
}

// credential checks the agent's own credential. The accounts were checked before.
func (c *checker) credential(file *fileKeys, accounts []Account) Credential {
	keys := file.Qualytics.Credential
	if !keys.ok {
		return Credential{}
	}
	own := Credential{Source: secret.Source{File: keys.File, Env: keys.Env}}
	c.notDelivered(credentialPath+".file", keys.File)
	if keys.Backend == "" {
		return own
	}
	c.used[keys.Backend] = true
	c.atLeastASecond(credentialPath+".every", keys.Every)
	as := targetKeys{Backend: keys.Backend, Path: keys.Path, spec: keys.spec, options: keys.options}
	backend, ok := c.backendOf(file, credentialPath, as)
	if !ok {
		return own
	}
	own.Every = keys.Every
	if keys.Self {
		c.selfRotated(&own, accounts, keys)
		return own
	}
	target := c.target(credentialPath, backend, backend.driver.Properties(backend.options), as)
	own.From, own.Format = target.Ref, target.Format
	if target.Format != nil && target.Format.Lossy() {
		c.wrong(credentialPath+".format", "the format %s doesn't give its token back, so the agent can't read its credential from it; name another", target.FormatName)
	}
	if place := backend.driver.Place; place != nil {
		c.notTaken(credentialPath+".path", backend.Type, place(backend.options, target.Ref),
			"say self: true if it is to rotate its own credential, or name another place")
	}
	return own
}

// selfRotated checks a credential that is the token of a declared slot.
func (c *checker) selfRotated(own *Credential, accounts []Account, keys credentialKeys) {
	place := keys.Backend + "/" + keys.Path
	for i, account := range accounts {
		for j, token := range account.Tokens {
			at := slices.IndexFunc(token.Deliver, func(t Target) bool { return t.Ref.String() == place })
			if at < 0 {
				continue
			}
			target := token.Deliver[at]
			own.From, own.Format, own.Slot, own.Bootstrap = target.Ref, target.Format, account.Slot(token), keys.Bootstrap
			if account.Role != adminRole {
				c.wrong(fmt.Sprintf("accounts[%d].role", i), "the agent works with this account's token (%s, line %d), so its role must be %s",
					credentialPath, c.line(credentialPath), adminRole)
			}
			if len(account.Tokens) > 1 {
				c.wrong(fmt.Sprintf("accounts[%d].tokens", i), "the agent works with a token of this account (%s, line %d), so the account must have that one alone: "+
					"what befalls the account would befall the agent; put the others into another account", credentialPath, c.line(credentialPath))
			}
			c.givesBack(fmt.Sprintf("accounts[%d].tokens[%d].deliver[%d].format", i, j, at), target)
			c.notDelivered(credentialPath+".bootstrap", keys.Bootstrap.File)
			c.outlivesARestart(fmt.Sprintf("accounts[%d].tokens[%d].deliver", i, j), token, *own)
			return
		}
	}
	c.wrong(credentialPath+".path", "no declared token is delivered to %s, so the agent can't rotate its credential there; "+
		"name a place of a deliver list, or leave self out", place)
}

// adminRole is the role without which the agent can do nothing.
const adminRole = "Admin"

func (c *checker) givesBack(path string, target Target) {
	if target.Format != nil && target.Format.Lossy() {
		c.wrong(path, "the agent reads its own credential here (%s, line %d), and the format %s doesn't give it back; choose another format",
			credentialPath, c.line(credentialPath), target.FormatName)
	}
}

// outlivesARestart refuses what would leave an agent without any credential.
func (c *checker) outlivesARestart(path string, token Token, own Credential) {
	stays := func(t Target) bool { return !c.volatile[t.Ref.Backend] }
	if !slices.ContainsFunc(token.Deliver, stays) && own.Bootstrap.IsZero() {
		c.wrong(path, "a restart of the machine would lose the agent's own credential, for every target of this token is volatile; add a target that stays")
	}
}

// notDelivered refuses a file that the agent itself writes a token to.
func (c *checker) notDelivered(path, file string) {
	if file == "" {
		return
	}
	if absolute, err := filepath.Abs(file); err == nil {
		c.notTaken(path, fileType, absolute, "name it by backend and path, with self: true, if the agent is to rotate its own credential; else name another file")
	}
}

// notTaken refuses a place that is a target.
func (c *checker) notTaken(path, backendType, place, remedy string) {
	if target, taken := c.taken[backendType+"\x00"+place]; taken {
		slot := target[:max(strings.LastIndex(target, ".deliver["), 0)]
		c.wrong(path, "the agent delivers a token to this place (line %d), so it would replace its own credential; %s", c.line(slot), remedy)
	}
}
