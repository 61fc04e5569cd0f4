package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// checker turns what was decoded into a Declaration, and reports what only the
// whole shows. A value that the decoder didn't understand is zero here, and
// reported already.
type checker struct {
	*decoder
	warnings []Problem
	// taken are the places of all targets, by type and place, with the path
	// of keys that took them.
	taken map[string]string
	// used are the backends that some target names, volatile those that a
	// restart empties.
	used, volatile map[string]bool
	// told are the hooks of each environment, and of all tokens under "".
	told map[string]hookLists
	// instanceURL is qualytics.url in its one form.
	instanceURL string
}

// node is where path stands in the file, or what surrounds it.
func (c *checker) node(path string) *yaml.Node {
	for {
		if p, ok := c.places[path]; ok {
			return p.value
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// wrong reports an error at a path of keys.
func (c *checker) wrong(path, format string, args ...any) {
	c.report(c.node(path), path, format, args...)
}

// doubt adds a warning at a path of keys.
func (c *checker) doubt(path, format string, args ...any) {
	n := c.node(path)
	c.warnings = append(c.warnings, Problem{
		File: c.file, Line: n.Line, Column: n.Column, Key: path, Message: fmt.Sprintf(format, args...),
	})
}

// line is where path stands, for a message about something else.
func (c *checker) line(path string) int { return c.node(path).Line }

func (c *checker) check(file *fileKeys) *Declaration {
	d := &Declaration{
		Agent:     c.agent(file.Agent),
		State:     State{SQLite: file.State.SQLite},
		Qualytics: c.qualytics(file.Qualytics),
	}
	c.instanceURL = d.Qualytics.URL
	d.Backends = declaredBackends(file.Backends)
	c.rotationRanges("defaults.rotation", file.Defaults.Rotation)
	c.told = map[string]hookLists{"": c.hookLists("defaults", file.Defaults.OnDelivery, file.Defaults.OnRevocation)}
	for name, environment := range file.Environments {
		c.rotationRanges("environments."+name+".rotation", environment.Rotation)
		if name != "" {
			c.told[name] = c.hookLists("environments."+name, environment.OnDelivery, environment.OnRevocation)
		}
	}
	d.Notify = c.notify(file.Notify)
	d.Accounts = c.accounts(file, d.Agent.ID)
	d.Qualytics.Credential = c.credential(file, d.Accounts)
	for name := range file.Backends {
		if !c.used[name] {
			c.doubt("backends."+name, "no token is delivered to the backend %q; take it out, or name it in a deliver list", name)
		}
	}
	return d
}

// declaredBackends are those without a mistake, in the order of their names.
func declaredBackends(keys map[string]backendKeys) []Backend {
	var all []Backend
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if b := keys[name]; b.ok {
			all = append(all, Backend{Name: name, Driver: b.driver, Options: b.options, Properties: b.driver.Properties(b.options)})
		}
	}
	return all
}

func (c *checker) agent(keys agentKeys) Agent {
	c.listen("agent.listen", keys.Listen)
	c.atLeastASecond("agent.drift_check", keys.DriftCheck)
	c.atLeastASecond("agent.sweep", keys.Sweep)
	return Agent(keys)
}

// listen checks an address to listen on.
func (c *checker) listen(path, address string) {
	if c.bad[path] || address == "" {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if _, badPort := strconv.ParseUint(port, 10, 16); err != nil || badPort != nil {
		c.wrong(path, "%q is not an address to listen on; write host:port, such as 127.0.0.1:9632", address)
	}
}

// atLeastASecond checks one of the agent's own durations.
func (c *checker) atLeastASecond(path string, d time.Duration) {
	const least = time.Second
	if d < least && !c.bad[path] && !c.bad[path[:strings.Index(path, ".")]] {
		c.wrong(path, "%s is %s; the least is %s", lastKey(path), FormatDuration(d), FormatDuration(least))
	}
}

func (c *checker) qualytics(keys qualyticsKeys) Qualytics {
	q := Qualytics{
		URL:     c.instance("qualytics.url", keys.URL),
		CAFile:  keys.CAFile,
		Rate:    keys.Rate,
		Timeout: keys.Timeout,
	}
	if c.bad["qualytics"] {
		return q
	}
	if !c.bad["qualytics.rate"] && (q.Rate < 0.1 || q.Rate > 1000) {
		c.wrong("qualytics.rate", "\"rate\" must be 0.1 to 1000 calls per second")
	}
	c.atLeastASecond("qualytics.timeout", q.Timeout)
	return q
}

// instance brings the instance's URL into its one form. Consumers get it as
// it is here, so a path other than /api is an error.
func (c *checker) instance(path, text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		c.wrong(path, "this is not the URL of an instance; write it as https://acme.qualytics.io")
	case u.User != nil:
		c.wrong(path, "the URL must not hold a user or a password; the credential stands under qualytics.credential")
	case u.RawQuery != "" || u.Fragment != "":
		c.wrong(path, "the URL must end after the host; take out what begins with ? or #")
	case strings.TrimSuffix(strings.Trim(u.Path, "/"), "api") != "":
		c.wrong(path, "the URL must end after the host (or after /api), not with the path %q", u.Path)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		c.wrong(path, "plain http to another machine lets everybody on the way read the tokens; write https")
	default:
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// loopback reports whether host is this machine without asking a name server.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
