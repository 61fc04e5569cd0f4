package config

import (
	"maps"
	"slices"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// builtIn is what holds where the declaration says nothing: the vendor's
// recommendation for production (qualytics-api.md, "What the vendor
// recommends").
var builtIn = rotation.Schedule{
	Lifetime: 365 * day, Every: 335 * day, Grace: week, Hold: week, Quiet: day, Observe: week,
}

// maxLifetime is the API's.
const maxLifetime = 365 * day

const (
	never       = "never"
	untilUnused = "until-unused"
)

// rotationRanges checks each setting by itself, once where it stands.
func (c *checker) rotationRanges(path string, keys rotationKeys) {
	if l := keys.Lifetime; l != nil && l.word == "" {
		switch {
		case l.d < day || l.d > maxLifetime:
			c.wrong(path+".lifetime", "\"lifetime\" is %s; it must be 1d to 365d, or never", FormatDuration(l.d))
		case l.d%day != 0:
			c.wrong(path+".lifetime", "\"lifetime\" is %s; Qualytics counts it in whole days", FormatDuration(l.d))
		}
	}
	if e := keys.Every; e != nil && e.word == "" {
		switch {
		case e.d < time.Second:
			c.wrong(path+".every", "\"every\" is %s; the least is 1s", FormatDuration(e.d))
		case e.d < day:
			c.doubt(path+".every", "\"every\" is %s: a rotation that short is for trying out, and asks much of Qualytics and the stores", FormatDuration(e.d))
		}
	}
	if g := keys.Grace; g != nil && g.d == 0 {
		c.doubt(path+".grace", "\"grace\" is 0s: a consumer that has just read the old token loses it at once")
	}
	if q := keys.Quiet; q != nil && q.d == 0 {
		c.wrong(path+".quiet", "\"quiet\" is 0s, which no token in use can reach; give the time unused that ends the hold, such as 24h")
	}
}

// chosen is one setting with the path where it was made; "" is built in.
type chosen struct {
	span
	path string
}

// settings are one token's, each from the token, else its environment, else
// defaults, else built in.
type settings struct{ lifetime, every, grace, hold, quiet, observe chosen }

// level is a place where rotation settings may stand.
type level struct {
	path string
	keys rotationKeys
}

func settingsOf(levels ...level) settings {
	s := settings{
		lifetime: chosen{span: span{d: builtIn.Lifetime}}, every: chosen{span: span{d: builtIn.Every}},
		grace: chosen{span: span{d: builtIn.Grace}}, hold: chosen{span: span{d: builtIn.Hold}},
		quiet: chosen{span: span{d: builtIn.Quiet}}, observe: chosen{span: span{d: builtIn.Observe}},
	}
	for _, l := range levels {
		for _, setting := range []struct {
			name  string
			given *span
			out   *chosen
		}{
			{"lifetime", l.keys.Lifetime, &s.lifetime}, {"every", l.keys.Every, &s.every},
			{"grace", l.keys.Grace, &s.grace}, {"hold", l.keys.Hold, &s.hold},
			{"quiet", l.keys.Quiet, &s.quiet}, {"observe", l.keys.Observe, &s.observe},
		} {
			if setting.given != nil {
				*setting.out = chosen{*setting.given, l.path + "." + setting.name}
			}
		}
	}
	return s
}

// schedule is what holds for the token at path.
func (c *checker) schedule(file *fileKeys, path string, token tokenKeys) rotation.Schedule {
	c.rotationRanges(path+".rotation", token.Rotation)
	if _, declared := file.Environments[token.Environment]; !declared {
		if meant := closest(token.Environment, slices.Sorted(maps.Keys(file.Environments))); meant != "" {
			c.doubt(path+".environment", "there are no settings for the environment %q, so defaults holds; did you mean %q?", token.Environment, meant)
		}
	}
	s := settingsOf(
		level{"defaults.rotation", file.Defaults.Rotation},
		level{"environments." + token.Environment + ".rotation", file.Environments[token.Environment].Rotation},
		level{path + ".rotation", token.Rotation},
	)
	c.fits(path, s)
	return rotation.Schedule{
		Lifetime: s.lifetime.d, Every: s.every.d, Grace: s.grace.d,
		Hold: s.hold.d, HoldUntilUnused: s.hold.word == untilUnused,
		Quiet: s.quiet.d, Observe: s.observe.d,
	}
}

// fits checks a token's settings against each other: the old token must live
// until its grace and hold are over. The problem is shown at the setting that
// is nearest to the token.
func (c *checker) fits(token string, s settings) {
	for _, setting := range []chosen{s.lifetime, s.every, s.grace, s.hold} {
		if c.bad[setting.path] {
			return
		}
	}
	at := token
	for _, setting := range []chosen{s.every, s.lifetime, s.grace, s.hold} {
		if len(setting.path) > 0 && (at == token || c.line(setting.path) > c.line(at)) {
			at = setting.path
		}
	}
	if s.lifetime.word == never {
		return
	}
	stretch := s.every.d + s.grace.d + s.hold.d
	switch {
	case s.every.word == never:
		c.wrong(at, "every: never lets the token expire after its lifetime of %s; give every, or write lifetime: never", FormatDuration(s.lifetime.d))
	case s.every.d >= s.lifetime.d:
		c.wrong(at, "every (%s) must be shorter than the lifetime (%s), or the token expires before it is replaced",
			FormatDuration(s.every.d), FormatDuration(s.lifetime.d))
	case stretch > s.lifetime.d || stretch < 0:
		c.wrong(at, "every (%s), grace (%s) and hold (%s) together are longer than the lifetime (%s): the old token would expire while it is still in use; shorten one of them",
			FormatDuration(s.every.d), FormatDuration(s.grace.d), FormatDuration(s.hold.d), FormatDuration(s.lifetime.d))
	}
}
