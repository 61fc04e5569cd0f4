package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// fileType is the type of the backends that a follower writes to.
const fileType = "file"

// following checks a follower's file.
func (c *checker) following(file *followFileKeys) *Following {
	keys := file.Follow
	f := &Following{Listen: keys.Listen, Every: keys.Every, Backends: declaredBackends(file.Backends)}
	if !c.bad["follow"] {
		c.listen("follow.listen", keys.Listen)
		c.atLeastASecond("follow.every", keys.Every)
	}
	url := c.instance("follow.url", keys.URL)
	if c.instanceURL = url; url == "" {
		c.instanceURL = sampleToken.URL
	}
	if len(keys.Entries) == 0 && !c.bad["follow.entries"] && !c.bad["follow"] {
		c.wrong("follow.entries", "there is nothing to follow; give at least one entry")
	}
	stores := &fileKeys{Backends: file.Backends}
	for i, k := range keys.Entries { // what is written first, to see what reads there
		at := fmt.Sprintf("follow.entries[%d]", i)
		f.Entries = append(f.Entries, Entry{To: c.written(stores, at+".to", k.To), URL: url, Environment: k.Environment})
	}
	for i, k := range keys.Entries {
		at, entry := fmt.Sprintf("follow.entries[%d]", i), &f.Entries[i]
		entry.From = c.followed(stores, at+".from", k.From)
		entry.Account, entry.AccountID = c.followedAccount(at+".account", k.Account)
		entry.OnChange = c.hooks(at+".on_change", k.OnChange)
		if entry.To.Format != nil {
			c.renderable(at, *entry)
		}
	}
	for name := range file.Backends {
		if !c.used[name] {
			c.doubt("backends."+name, "no entry names the backend %q; take it out", name)
		}
	}
	return f
}

// written checks a place that a follower writes to.
func (c *checker) written(stores *fileKeys, path string, keys toKeys) Target {
	c.used[keys.Backend] = true
	backend, ok := c.backendOf(stores, path, keys.target())
	if !ok {
		return Target{}
	}
	if backend.Type != fileType {
		c.wrong(path+".backend", "a follower writes files alone, and the backend %q is of type %s; name one of type file", keys.Backend, backend.Type)
		return Target{}
	}
	target := c.target(path, backend, backend.driver.Properties(backend.options), keys.target())
	c.place(path, backend, target.Ref)
	return target
}

// followed checks a place that a follower reads.
func (c *checker) followed(stores *fileKeys, path string, keys fromKeys) Target {
	c.used[keys.Backend] = true
	backend, ok := c.backendOf(stores, path, keys.target())
	if !ok {
		return Target{}
	}
	target := c.target(path, backend, backend.driver.Properties(backend.options), keys.target())
	if target.Format != nil && target.Format.Lossy() {
		c.wrong(path+".format", "the format %s doesn't give its token back, so nobody can follow it; let the agent deliver another format, and name that", target.FormatName)
	}
	if backend.driver.Place != nil && keys.Path != "" {
		if to, taken := c.taken[backend.Type+"\x00"+backend.driver.Place(backend.options, target.Ref)]; taken {
			c.wrong(path+".path", "%s is the place that the entry in line %d writes to; a follower reads what an agent delivers", target.Ref, c.line(to))
		}
	}
	return target
}

func (c *checker) followedAccount(path, name string) (account, id string) {
	if name == "" {
		return "", ""
	}
	if id = rotation.AccountID(name); id == emptyID {
		c.wrong(path, "the name %q has no letter a to z and no digit; write the account's name as the agent declares it", name)
	}
	return name, id
}

func (c *checker) hooks(path string, keys []hookKeys) []Hook {
	hooks := make([]Hook, 0, len(keys))
	for i, k := range keys {
		at := fmt.Sprintf("%s[%d]", path, i)
		if c.bad[at] || c.bad[at+".exec"] {
			continue
		}
		c.program(at+".exec", k.Exec)
		c.atLeastASecond(at+".timeout", k.Timeout)
		hooks = append(hooks, Hook(k))
	}
	return hooks
}

// renderable refuses a format that shows what the follower doesn't know.
func (c *checker) renderable(path string, e Entry) {
	for _, part := range []struct {
		known           bool
		without         func(*backends.Token)
		key, at, remedy string
	}{
		{e.URL != "", func(t *backends.Token) { t.URL = "" }, "follow.url", "follow", "it writes the instance's URL; add follow.url"},
		{e.Account != "", func(t *backends.Token) { t.Account, t.AccountID = "", "" }, path + ".account", path, "it shows the account; add account to the entry"},
		{e.Environment != "", func(t *backends.Token) { t.Environment = "" }, path + ".environment", path, "it shows the environment; add environment to the entry"},
		{false, func(t *backends.Token) { t.ID, t.Name = 0, "" }, "", path + ".to.template", "a follower doesn't know the token's number and name; take .TokenID and .TokenName out"},
	} {
		if !part.known && !c.bad[part.key] && shows(e.To.Format, part.without) {
			c.wrong(part.at, "the format %s of %s can't be written: %s", e.To.FormatName, e.To.Ref, part.remedy)
		}
	}
}

// sampleToken looks like a real one and is none.
var sampleToken = backends.Token{
	Value: secret.New("ey" + strings.Repeat("sample", 12) + ".eySAMPLE.sample"), ID: 4711, Name: "sample.agent.g1", Account: "Sample", AccountID: "sample@service",
	Environment: "sample", URL: "https://sample.qualytics.io", Expiration: time.Unix(1<<31, 0).UTC(),
}

// shows reports whether a format's payload depends on a part of the token.
func shows(f backends.Format, without func(*backends.Token)) bool {
	poorer := sampleToken
	without(&poorer)
	whole, err := f.Render(sampleToken)
	if err != nil {
		return false
	}
	less, err := f.Render(poorer)
	return err != nil || !whole.Equal(less)
}
