package vault

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/handover-agent/handover/backends"
)

// noPatch are the answers of a policy or a server that knows no merge patch.
var noPatch = []int{http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented}

// writeMetadata brings an entry's custom metadata up to date. have is what was
// read last: where it says all already, nothing is sent.
//
// A merge patch leaves other people's keys alone. A server or a policy that
// knows no patch gets all keys written back: where the server compares the
// metadata's version (OpenBao), a key that somebody else sets in that moment is
// a conflict, else it is lost.
func (b *backend) writeMetadata(ctx context.Context, ref backends.Ref, have, want customMetadata) error {
	if have.has(want) {
		return nil
	}
	patch := request{
		method:  http.MethodPatch,
		path:    b.options.Mount + "/metadata/" + ref.Path,
		body:    map[string]any{"custom_metadata": want.patch()},
		changes: true,
	}
	r, err := b.call(ctx, patch)
	mustCompare := says("metadata check-and-set parameter required")(r)
	if !mustCompare && !slices.Contains(noPatch, r.status) {
		return err
	}
	now, err := b.history(ctx, ref)
	if err != nil {
		return err
	}
	again := patch
	if !mustCompare {
		again.method, again.body = http.MethodPut, map[string]any{"custom_metadata": now.Custom.with(want)}
	}
	if now.Metadata != nil {
		again.body["metadata_cas"] = *now.Metadata
	}
	_, err = b.call(ctx, again)
	return err
}

// checkSizes refuses before anything is written what Vault would refuse, the
// metadata even after the value was written.
func checkSizes(item backends.Item, l layout) error {
	if err := checkLength(item); err != nil {
		return err
	}
	for key, value := range describe(item.Meta, 0, l) {
		if len(value) > maxMetadataValue {
			return fmt.Errorf("metadata %s has %d bytes, Vault takes at most %d", key, len(value), maxMetadataValue)
		}
	}
	return nil
}

func checkLength(item backends.Item) error {
	if n := item.Payload.Len(); n > maxPayload {
		return fmt.Errorf("the payload has %d bytes, at most %d are allowed", n, maxPayload)
	}
	return nil
}
