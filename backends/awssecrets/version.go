package awssecrets

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// ours begins the id of every version that the agent makes.
const ours = "handover-"

// versionID is the ClientRequestToken of a payload, which AWS makes the id of
// its version: the payload's fingerprint, and a digest of who puts it where.
// The same item at the same place has the same id, so that a repeated request
// makes no second version. AWS never changes a version, so the id alone tells
// whether the payload stands there already.
func versionID(agentID string, ref backends.Ref, item backends.Item) string {
	payload := item.Payload.Fingerprint()
	sum := sha256.Sum256([]byte(strings.Join([]string{
		agentID, item.Meta.Slot, strconv.FormatUint(item.Meta.Generation, 10), ref.String(), string(payload),
	}, "\x00")))
	return ours + string(payload) + "-" + hex.EncodeToString(sum[:8])
}

// fingerprintIn is the payload's fingerprint in a version's id; "" where the
// version was made by others.
func fingerprintIn(id string) secret.Fingerprint {
	rest, ok := strings.CutPrefix(id, ours)
	fingerprint, _, whole := strings.Cut(rest, "-")
	if !ok || !whole {
		return ""
	}
	return secret.Fingerprint(fingerprint)
}
