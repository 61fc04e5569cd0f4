package azurekeyvault

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Key Vault's limits to what stands beside a value ("About secrets").
const (
	maxTags        = 15
	maxTag         = 256 // characters of a name or of a value
	maxContentType = 255 // characters
)

// ownPrefix begins the names of the tags that are the agent's.
const ownPrefix = "handover-"

// The agent's tags.
const (
	tagSlot       = "handover-slot"
	tagGeneration = "handover-generation"
	tagTokenID    = "handover-token-id"
	tagToken      = "handover-token" // the token's fingerprint
	tagExpires    = "handover-expires"
	tagPayload    = "handover-payload"  // the fingerprint of the value that the others describe
	tagReplaces   = "handover-replaces" // the version that this one replaced
)

// ownTags are all of them.
var ownTags = []string{tagSlot, tagGeneration, tagTokenID, tagToken, tagExpires, tagPayload, tagReplaces}

// never stands for no expiry.
const never = "never"

// tags are those of one version, other people's too. A tag without a value
// counts as none.
type tags map[string]string

// describe is the tags that say of the item's payload what the item says.
func describe(item backends.Item) tags {
	m := item.Meta
	expires := never
	if !m.Expires.IsZero() {
		expires = m.Expires.UTC().Format(time.RFC3339Nano)
	}
	return tags{
		tagSlot:       m.Slot,
		tagGeneration: strconv.FormatUint(m.Generation, 10),
		tagTokenID:    strconv.FormatInt(m.TokenID, 10),
		tagToken:      string(m.Token),
		tagExpires:    expires,
		tagPayload:    string(item.Payload.Fingerprint()),
	}
}

// meta is what the tags say of payload: nothing unless they describe just that
// value and read as the agent writes them. A new version gets no tags but those
// that its writer gives, so tags that fit belong to this version.
func (t tags) meta(payload secret.Value) backends.Meta {
	if payload.IsZero() || t[tagPayload] != string(payload.Fingerprint()) {
		return backends.Meta{}
	}
	generation, badGeneration := strconv.ParseUint(t[tagGeneration], 10, 64)
	id, badID := strconv.ParseInt(t[tagTokenID], 10, 64)
	if badGeneration != nil || badID != nil {
		return backends.Meta{}
	}
	m := backends.Meta{Slot: t[tagSlot], Generation: generation, TokenID: id, Token: secret.Fingerprint(t[tagToken])}
	if t[tagExpires] == never {
		return m
	}
	expires, err := time.Parse(time.RFC3339Nano, t[tagExpires])
	if err != nil {
		return backends.Meta{}
	}
	m.Expires = expires.UTC()
	return m
}

// others are the tags that aren't the agent's.
func (t tags) others() tags {
	rest := maps.Clone(t)
	maps.DeleteFunc(rest, func(name, _ string) bool { return strings.HasPrefix(name, ownPrefix) })
	return rest
}

// with is t with all of want laid over it.
func (t tags) with(want tags) tags {
	all := tags{}
	maps.Copy(all, t)
	maps.Copy(all, want)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// has reports whether all of want stands in t already.
func (t tags) has(want tags) bool {
	for name, value := range want {
		if t[name] != value {
			return false
		}
	}
	return true
}

// check refuses what Key Vault would refuse.
func (t tags) check() error {
	if len(t) > maxTags {
		return fmt.Errorf("the secret would have %d tags, and Key Vault keeps %d: take some of the others away", len(t), maxTags)
	}
	for name, value := range t {
		if n := utf8.RuneCountInString(value); n > maxTag {
			return fmt.Errorf("the tag %s has %d characters, Key Vault takes at most %d", name, n, maxTag)
		}
	}
	return nil
}

// sdk is t in the form of the SDK.
func (t tags) sdk() map[string]*string {
	all := make(map[string]*string, len(t))
	for name, value := range t {
		all[name] = &value
	}
	return all
}
