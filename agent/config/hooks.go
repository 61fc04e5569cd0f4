package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
)

// TokenHook tells others of a delivery or a revocation: a program or a webhook.
type TokenHook struct {
	// Name is unique in its list: the program's path, or the URL's host.
	Name string
	// Required: no older token is revoked before it has succeeded.
	Required bool
	// Timeout is the longest time that it may take: 1s to 10m.
	Timeout time.Duration
	// Exec is the program's path and its arguments; nil: Webhook is a URL.
	Exec    []string
	Webhook string
	// Secret signs what is posted; the zero Source: nothing is signed.
	Secret secret.Source
	// CAFile is a PEM file to trust instead of the system's; "" is none.
	CAFile string
}

// maxHookTime bounds the time limit of a hook.
const maxHookTime = 10 * time.Minute

// hookLists are the hooks that stand at one place; a nil list says nothing, and
// an empty one says none.
type hookLists struct{ onDelivery, onRevocation []TokenHook }

// or is the lists, with others where they say nothing.
func (l hookLists) or(others hookLists) hookLists {
	if l.onDelivery == nil {
		l.onDelivery = others.onDelivery
	}
	if l.onRevocation == nil {
		l.onRevocation = others.onRevocation
	}
	return l
}

// hookLists checks the hooks of a token, an environment or of all.
func (c *checker) hookLists(path string, delivery []deliveryHookKeys, revocation []tellKeys) hookLists {
	var lists hookLists
	if delivery != nil {
		lists.onDelivery = make([]TokenHook, 0, len(delivery))
	}
	if revocation != nil {
		lists.onRevocation = make([]TokenHook, 0, len(revocation))
	}
	for i, k := range delivery {
		hook := c.tokenHook(fmt.Sprintf("%s.on_delivery[%d]", path, i), k.tellKeys)
		hook.Required = k.Required
		lists.onDelivery = named(lists.onDelivery, hook)
	}
	for i, k := range revocation {
		lists.onRevocation = named(lists.onRevocation, c.tokenHook(fmt.Sprintf("%s.on_revocation[%d]", path, i), k))
	}
	return lists
}

// named adds a hook under a name that none before it has.
func named(all []TokenHook, hook TokenHook) []TokenHook {
	same := 1
	for _, other := range all {
		if hookPlace(other) == hookPlace(hook) {
			same++
		}
	}
	if hook.Name = hookPlace(hook); same > 1 {
		hook.Name += fmt.Sprintf(" (%d)", same)
	}
	return append(all, hook)
}

func hookPlace(h TokenHook) string {
	if len(h.Exec) > 0 {
		return h.Exec[0]
	}
	u, err := url.Parse(h.Webhook)
	if err != nil { // reported
		return ""
	}
	return u.Host
}

func (c *checker) tokenHook(at string, k tellKeys) TokenHook {
	if c.bad[at] {
		return TokenHook{}
	}
	given := len(k.Exec) > 0 || c.bad[at+".exec"]
	posts := k.Webhook != "" || c.bad[at+".webhook"]
	switch {
	case given == posts:
		c.wrong(at, "a hook has either exec, a program to run, or webhook, a URL to post to; give one of them")
	case given && !c.bad[at+".exec"]:
		c.program(at+".exec", k.Exec)
	}
	if !posts && (!k.Secret.IsZero() || k.CAFile != "") {
		c.wrong(at, "secret and ca_file are for a webhook; take them out")
	}
	c.webhookURL(at+".webhook", k.Webhook)
	c.timeLimit(at+".timeout", k.Timeout)
	return TokenHook{Timeout: k.Timeout, Exec: k.Exec, Webhook: k.Webhook, Secret: k.Secret, CAFile: k.CAFile}
}

// program checks the path of a program to run.
func (c *checker) program(path string, argv []string) {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		c.wrong(path, "\"exec\" must begin with the program's absolute path, such as [/bin/systemctl, reload, loader.service]; no shell looks for it")
	}
}

// webhookURL checks a URL to post to; "" is none.
func (c *checker) webhookURL(path, text string) {
	if text == "" || c.bad[path] {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		c.wrong(path, "this is not a URL to post to; write it as https://ops.acme.example/hooks/handover")
	case u.User != nil:
		c.wrong(path, "the URL must not hold a user or a password; sign what is posted, with secret")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		c.wrong(path, "plain http to another machine lets everybody on the way change what is told; write https")
	}
}

func (c *checker) timeLimit(path string, d time.Duration) {
	if c.bad[path] {
		return
	}
	c.atLeastASecond(path, d)
	if d > maxHookTime {
		c.wrong(path, "%s is %s; the longest is %s", lastKey(path), FormatDuration(d), FormatDuration(maxHookTime))
	}
}

// hookPolicies is what the core knows of hooks.
func hookPolicies(hooks []TokenHook) []rotation.HookPolicy {
	if len(hooks) == 0 {
		return nil
	}
	all := make([]rotation.HookPolicy, len(hooks))
	for i, h := range hooks {
		all[i] = rotation.HookPolicy{Name: h.Name, Required: h.Required, Timeout: h.Timeout}
	}
	return all
}
