package vault

import (
	"maps"
	"strconv"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The keys of an entry's custom metadata that are the agent's.
const (
	metaSlot       = "handover-slot"
	metaGeneration = "handover-generation"
	metaTokenID    = "handover-token-id"
	metaToken      = "handover-token" // the token's fingerprint
	metaExpires    = "handover-expires"
	metaVersion    = "handover-version" // the version that the others describe
	metaLayout     = "handover-layout"
)

// never stands for no expiry.
const never = "never"

// customMetadata is what Vault keeps beside an entry, other people's keys too.
// Vault takes no empty values: "" means that the key is not there.
type customMetadata map[string]string

// describe is the metadata that says of version v what the item says.
func describe(m backends.Meta, v int, l layout) customMetadata {
	expires := never
	if !m.Expires.IsZero() {
		expires = m.Expires.UTC().Format(time.RFC3339Nano)
	}
	return customMetadata{
		metaSlot:       m.Slot,
		metaGeneration: strconv.FormatUint(m.Generation, 10),
		metaTokenID:    strconv.FormatInt(m.TokenID, 10),
		metaToken:      string(m.Token),
		metaExpires:    expires,
		metaVersion:    strconv.Itoa(v),
		metaLayout:     string(l),
	}
}

// meta is what the metadata says of version v: nothing unless it describes just
// that version and reads as the agent writes it.
func (c customMetadata) meta(v int) backends.Meta {
	if c[metaVersion] != strconv.Itoa(v) {
		return backends.Meta{}
	}
	generation, badGeneration := strconv.ParseUint(c[metaGeneration], 10, 64)
	id, badID := strconv.ParseInt(c[metaTokenID], 10, 64)
	if badGeneration != nil || badID != nil {
		return backends.Meta{}
	}
	m := backends.Meta{
		Slot:       c[metaSlot],
		Generation: generation,
		TokenID:    id,
		Token:      secret.Fingerprint(c[metaToken]),
	}
	if c[metaExpires] == never {
		return m
	}
	expires, err := time.Parse(time.RFC3339Nano, c[metaExpires])
	if err != nil {
		return backends.Meta{}
	}
	m.Expires = expires.UTC()
	return m
}

// has reports whether all of want stands in c already.
func (c customMetadata) has(want customMetadata) bool {
	for k, v := range want {
		if c[k] != v {
			return false
		}
	}
	return true
}

// patch is c as the body of a merge patch.
func (c customMetadata) patch() map[string]any {
	body := make(map[string]any, len(c))
	for k, v := range c {
		body[k] = v
		if v == "" {
			body[k] = nil
		}
	}
	return body
}

// with is c with want laid over it.
func (c customMetadata) with(want customMetadata) customMetadata {
	all := customMetadata{}
	maps.Copy(all, c)
	maps.Copy(all, want)
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}
