package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

func (c *checker) targets(file *fileKeys, token, slot string, of Token, keys []targetKeys) []Target {
	if len(keys) == 0 && !c.bad[token+".deliver"] && !c.bad[token] {
		c.wrong(token+".deliver", "the token is delivered nowhere; give at least one target")
	}
	var targets []Target
	volatile, lossy := len(keys) > 0, len(keys) > 0
	refs := make(map[string]string)
	for i, k := range keys {
		path := fmt.Sprintf("%s.deliver[%d]", token, i)
		c.used[k.Backend] = true
		backend, ok := c.backendOf(file, path, k)
		if !ok {
			volatile, lossy = false, false
			c.format(path, "", k)
			continue
		}
		properties := backend.driver.Properties(backend.options)
		target := c.target(path, backend, properties, k)
		if first, taken := refs[target.Ref.String()]; taken {
			c.wrong(path+".path", "the token is delivered to %s already in line %d; one entry is enough", target.Ref, c.line(first))
		} else {
			refs[target.Ref.String()] = path
			c.place(path, backend, target.Ref)
		}
		c.floor(path, of, target)
		c.names(token, slot, k.Backend, properties)
		volatile = volatile && properties.Volatile
		c.volatile[k.Backend] = properties.Volatile
		lossy = lossy && target.Format != nil && target.Format.Lossy()
		targets = append(targets, target)
	}
	if volatile {
		c.doubt(token+".deliver", "every target of this token is volatile: a restart of the machine loses the token, and a new one is issued; add a target that stays")
	}
	if lossy {
		c.doubt(token+".deliver", "no target of this token gives it back: when the agent restarts in the middle of a rotation, it must issue another one; add a target in a format that keeps it")
	}
	return targets
}

// backendOf finds the declared backend of a target; false where there is none
// that can be asked.
func (c *checker) backendOf(file *fileKeys, path string, keys targetKeys) (backendKeys, bool) {
	backend, declared := file.Backends[keys.Backend]
	if !declared && keys.Backend != "" && !c.bad["backends"] {
		remedy := "declare it under backends"
		if len(file.Backends) > 0 {
			remedy += ", or " + suggest(keys.Backend, "choose one of", slices.Sorted(maps.Keys(file.Backends)))
		}
		c.wrong(path+".backend", "no backend %q is declared; %s", keys.Backend, remedy)
	}
	return backend, declared && backend.ok
}

func (c *checker) target(path string, backend backendKeys, properties backends.Properties, keys targetKeys) Target {
	target := Target{
		Ref:        backends.Ref{Backend: keys.Backend, Path: keys.Path, Options: keys.options},
		Format:     c.format(path, backend.Type, keys),
		FormatName: keys.spec.Format,
		Consumer:   keys.Consumer,
		TakeOver:   keys.OnForeign == "take_over",
	}
	c.payload(path, target.Format, properties, keys)
	if keys.Path != "" {
		if err := properties.Path.Check(keys.Path); err != nil {
			c.wrong(path+".path", "%v", err)
		}
	}
	if target.Format != nil && target.Format.Lossy() && !properties.Metadata {
		c.wrong(path+".format", "the format %s doesn't give its token back, and the backend %q keeps no metadata that would tell which token stands there; choose another format or backend",
			target.FormatName, keys.Backend)
	}
	if target.Consumer == "" {
		target.Consumer = payload.Consumer(target.FormatName)
	}
	return target
}

// usualToken is as long as a token gets, and some more: Qualytics' have some 360
// characters.
var usualToken = secret.New("eyJ" + strings.Repeat("x", 1021))

// payload renders a token that is none: for a driver that wants to know how
// payloads of the target look, and to see whether the store takes them. A
// template that wants more than there is here is left to the first delivery.
func (c *checker) payload(path string, format backends.Format, properties backends.Properties, keys targetKeys) {
	if format == nil || c.instanceURL == "" {
		return
	}
	sample, err := format.Render(backends.Token{
		Value: usualToken, ID: 1, Name: "sample.agent.g1", Account: "Sample", AccountID: "sample@service",
		Environment: "sample", URL: c.instanceURL, Expiration: time.Unix(0, 0).UTC(),
	})
	if err != nil {
		return
	}
	if shaped, ok := keys.options.(backends.Shaped); ok {
		shaped.Shape(sample)
	}
	if most := properties.MaxPayload; most > 0 && sample.Len() > most {
		c.wrong(path+".format", "with a token of %d characters this has %d bytes, and the backend %q takes at most %d; choose a shorter format, or another backend",
			usualToken.Len(), sample.Len(), keys.Backend, most)
	}
}

// names checks what the agent notes beside each value.
func (c *checker) names(token, slot, backend string, properties backends.Properties) {
	if most := properties.MaxMeta; properties.Metadata && most > 0 && len(slot) > most && !c.bad[token+".name"] {
		c.wrong(token+".name", "account and token are noted beside the value as %s, which has %d bytes; the backend %q keeps at most %d: shorten the names by %d",
			slot, len(slot), backend, most, len(slot)-most)
	}
}

// format makes the target's format; nil where its keys don't allow it, which
// is reported.
func (c *checker) format(path, backendType string, keys targetKeys) backends.Format {
	spec := keys.spec
	spec.BackendType, spec.Path = backendType, keys.Path
	if spec.Format == "" || c.bad[path+".format"] {
		return nil
	}
	format, err := payload.New(spec)
	for _, one := range flatten(err) {
		at, says := path+".format", one.Error()
		var key *payload.SpecError
		if errors.As(one, &key) {
			at, says = path+"."+key.Key, fmt.Sprintf("%q: %s", key.Key, key.Says)
		}
		if !c.bad[at] {
			c.wrong(at, "%s", says)
		}
	}
	if err != nil {
		return nil
	}
	return format
}

// place sees to it that no two targets stand on one place, whatever they call
// it: they would overwrite each other for ever.
func (c *checker) place(path string, backend backendKeys, ref backends.Ref) {
	if ref.Path == "" || c.bad[path+".path"] || backend.driver.Place == nil {
		return
	}
	key := backend.Type + "\x00" + backend.driver.Place(backend.options, ref)
	if first, taken := c.taken[key]; taken {
		c.wrong(path+".path", "%s is the same place as the target in line %d; give each target a place of its own", ref, c.line(first))
		return
	}
	c.taken[key] = path
}

// floor warns of a consumer that goes on with an old token for longer than the
// grace.
func (c *checker) floor(path string, token Token, target Target) {
	if target.Consumer == "" {
		return
	}
	floor, known := payload.Floors[target.Consumer]
	switch {
	case !known:
		c.wrong(path+".consumer", "there is no consumer %q; %s", target.Consumer, suggest(target.Consumer, "choose one of", payload.Consumers()))
	case floor > token.Schedule.Grace:
		c.doubt(path, "the consumer %s may use an old token for %s, and the grace is %s; lengthen the grace, or tell the consumer of each rotation",
			target.Consumer, FormatDuration(floor), FormatDuration(token.Schedule.Grace))
	}
}
