package awssecrets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The agent's tags come in two pairs, for tags belong to the secret and not to
// a version: one pair describes the current version, while the other takes what
// is staged. Each names the version that it describes.
var (
	pairs   = [2]pair{{"handover-a", "handover-a-slot"}, {"handover-b", "handover-b-slot"}}
	ownTags = []string{pairs[0].token, pairs[0].slot, pairs[1].token, pairs[1].slot}
)

// pair are the keys of two tags.
type pair struct{ token, slot string }

// never stands for no expiry.
const never = "never"

// tags are those of a secret, other people's too.
type tags map[string]string

// describe is the pair that says of a version what m says.
func (p pair) describe(m backends.Meta, version string) tags {
	expires := never
	if !m.Expires.IsZero() {
		expires = m.Expires.UTC().Format(time.RFC3339Nano)
	}
	return tags{
		p.token: fmt.Sprintf("version=%s generation=%d token=%d fingerprint=%s expires=%s",
			version, m.Generation, m.TokenID, m.Token, expires),
		p.slot: m.Slot,
	}
}

// of is the version that a pair describes; "" is none.
func (t tags) of(p pair) string { return fields(t[p.token])["version"] }

func fields(text string) map[string]string {
	all := map[string]string{}
	for _, field := range strings.Fields(text) {
		key, value, _ := strings.Cut(field, "=")
		all[key] = value
	}
	return all
}

// meta is what the tags say of a version: nothing unless a pair describes just
// that version and reads as the agent writes it.
func (t tags) meta(version string) backends.Meta {
	for _, p := range pairs {
		if version != "" && t.of(p) == version {
			return t.read(p)
		}
	}
	return backends.Meta{}
}

func (t tags) read(p pair) backends.Meta {
	f := fields(t[p.token])
	generation, badGeneration := strconv.ParseUint(f["generation"], 10, 64)
	id, badID := strconv.ParseInt(f["token"], 10, 64)
	if badGeneration != nil || badID != nil {
		return backends.Meta{}
	}
	m := backends.Meta{Slot: t[p.slot], Generation: generation, TokenID: id, Token: secret.Fingerprint(f["fingerprint"])}
	if f["expires"] == never {
		return m
	}
	expires, err := time.Parse(time.RFC3339Nano, f["expires"])
	if err != nil {
		return backends.Meta{}
	}
	m.Expires = expires.UTC()
	return m
}

// pairFor is the pair to describe a version with: the one that does so already,
// else one that doesn't describe the version that a reader gets, or, for that
// one, the version that waits.
func (s state) pairFor(version string) pair {
	for _, p := range pairs {
		if s.tags.of(p) == version {
			return p
		}
	}
	keep := s.at[labelCurrent]
	if version == keep {
		keep = s.pending()
	}
	if keep != "" && s.tags.of(pairs[0]) == keep {
		return pairs[1]
	}
	return pairs[0]
}

// wanted are the tags that a secret should have once version carries the item:
// the declared ones, and the pair that describes it.
func (b *backend) wanted(s state, item backends.Item, version string) tags {
	all := s.pairFor(version).describe(item.Meta, version)
	for key, value := range b.options.Tags {
		all[key] = value
	}
	return all
}

// lacking are those of want that t hasn't yet.
func (t tags) lacking(want tags) tags {
	missing := tags{}
	for key, value := range want {
		if have, ok := t[key]; !ok || have != value {
			missing[key] = value
		}
	}
	return missing
}

// list is t as AWS takes it, in order.
func (t tags) list() []types.Tag {
	var all []types.Tag
	for key, value := range t {
		all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	slices.SortFunc(all, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return all
}
