package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/handover-agent/handover/backends"
)

// need is what the policy has to allow on one path: each group by one of its
// members.
type need struct {
	path   string
	groups [][]string
}

// Check implements backends.Checker: it asks Vault for the token's capabilities
// on the entry and on its metadata.
func (b *backend) Check(ctx context.Context, ref backends.Ref) error {
	op := operation{name: "check", ref: ref}
	if err := b.begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	needs := []need{
		{b.options.Mount + "/data/" + ref.Path, [][]string{{"create"}, {"update"}, {"read"}}},
		{b.options.Mount + "/metadata/" + ref.Path, [][]string{{"read"}, {"patch", "update"}}},
	}
	r, err := b.call(ctx, request{
		method: http.MethodPut,
		path:   "sys/capabilities-self",
		body:   map[string]any{"paths": []string{needs[0].path, needs[1].path}},
	})
	if errors.Is(backendKind(err), backends.ErrDenied) {
		return b.checkByReading(ctx, op) // a token without the policy "default" may not ask
	}
	if err != nil {
		return op.fail(err)
	}
	var has map[string]any
	if err := r.decode(&has); err != nil {
		return op.fail(err)
	}
	var lacks []string
	for _, n := range needs {
		if missing := n.missing(names(has[n.path])); len(missing) > 0 {
			lacks = append(lacks, fmt.Sprintf("%s on %s", strings.Join(missing, ", "), n.path))
		}
	}
	if len(lacks) > 0 {
		return op.fail(verdict{kind: backends.ErrDenied,
			err: fmt.Errorf("the token's policies lack %s", strings.Join(lacks, " and "))})
	}
	return nil
}

// checkByReading finds out at least whether the token is any good here.
func (b *backend) checkByReading(ctx context.Context, op operation) error {
	_, err := b.history(ctx, op.ref)
	if err == nil || errors.Is(backendKind(err), backends.ErrNotFound) {
		return nil
	}
	return op.fail(err)
}

// missing lists the groups of which has holds no member.
func (n need) missing(has []string) []string {
	if slices.Contains(has, "root") {
		return nil
	}
	var missing []string
	for _, group := range n.groups {
		if !slices.ContainsFunc(group, func(c string) bool { return slices.Contains(has, c) }) {
			missing = append(missing, strings.Join(group, " or "))
		}
	}
	return missing
}

// names reads a JSON array of strings.
func names(list any) []string {
	items, _ := list.([]any)
	var all []string
	for _, item := range items {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}
