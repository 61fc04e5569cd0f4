package config

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// Notify is a webhook that is told what a person should look at.
type Notify struct {
	// Name is unique: the URL's host, or where the URL stands.
	Name string
	// URL is where to post; "": URLFrom holds it.
	URL     string
	URLFrom secret.Source
	// Slack: {"text": …} is posted; else an object for programs.
	Slack bool
	// Secret signs what is posted; the zero Source: nothing is signed.
	Secret secret.Source
	// CAFile is a PEM file to trust instead of the system's; "" is none.
	CAFile string
	// Timeout is the longest time of all attempts together: 1s to 10m.
	Timeout time.Duration
	// Events are those that are told; nil is all.
	Events []string
	// Every is how long after it was told what still is so is told again; at
	// least a minute.
	Every time.Duration
}

func (c *checker) notify(keys []notifyKeys) []Notify {
	var all []Notify
	for i, k := range keys {
		at := fmt.Sprintf("notify[%d]", i)
		if c.bad[at] {
			continue
		}
		given, from := k.URL != "" || c.bad[at+".url"], !k.URLFrom.IsZero() || c.bad[at+".url_from"]
		if given == from {
			c.wrong(at, "give either url, or url_from where the URL is a secret, as those of Slack are")
		}
		c.webhookURL(at+".url", k.URL)
		c.timeLimit(at+".timeout", k.Timeout)
		if k.Every < time.Minute && !c.bad[at+".every"] {
			c.wrong(at+".every", "\"every\" is %s; the least is 1m", FormatDuration(k.Every))
		}
		if k.Events != nil && len(k.Events) == 0 {
			c.wrong(at+".events", "\"events\" is empty, so nothing would ever be told; name some, or leave the key out for all")
		}
		n := Notify{URL: k.URL, URLFrom: k.URLFrom, Slack: k.Format == "slack", Secret: k.Secret, CAFile: k.CAFile,
			Timeout: k.Timeout, Events: k.Events, Every: k.Every}
		n.Name = n.place()
		for count := 2; slices.ContainsFunc(all, func(other Notify) bool { return other.Name == n.Name }); count++ {
			n.Name = fmt.Sprintf("%s (%d)", n.place(), count)
		}
		all = append(all, n)
	}
	return all
}

func (n Notify) place() string {
	if n.URL == "" {
		return n.URLFrom.String()
	}
	u, err := url.Parse(n.URL)
	if err != nil { // reported
		return ""
	}
	return u.Host
}
