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

// needs are what a Put needs of the token.
func (b *backend) needs(e engine, ref backends.Ref) []need {
	value := [][]string{{"create"}, {"update"}, {"read"}}
	if e == kv1 {
		return []need{{b.options.Mount + "/" + ref.Path, value}}
	}
	return []need{
		{b.options.Mount + "/data/" + ref.Path, value},
		{b.options.Mount + "/metadata/" + ref.Path, [][]string{{"read"}, {"patch", "update"}}},
	}
}

// Check implements backends.Checker: it asks Vault for the token's capabilities
// on the entry and on its metadata. A mount that forgets values too early is a
// warning in the log.
func (b *backend) Check(ctx context.Context, ref backends.Ref) error {
	op := operation{name: "check", ref: ref}
	e, unknown := b.begin(ctx, ref)
	switch {
	case errors.Is(unknown, errHidden):
		e = kv2 // what its paths lack says more than that the mount can't be asked for
	case unknown != nil:
		return op.fail(unknown)
	}
	if err := b.allowed(ctx, e, ref); err != nil {
		return op.fail(err)
	}
	if unknown == nil && e == kv2 {
		unknown = b.warnOfKeeping(ctx, ref)
	}
	return op.end(unknown)
}

func (b *backend) allowed(ctx context.Context, e engine, ref backends.Ref) error {
	needs := b.needs(e, ref)
	paths := make([]string, len(needs))
	for i, n := range needs {
		paths[i] = n.path
	}
	r, err := b.call(ctx, request{method: http.MethodPut, path: "sys/capabilities-self", body: map[string]any{"paths": paths}})
	if errors.Is(backendKind(err), backends.ErrDenied) {
		return b.allowedToRead(ctx, e, ref) // a token without the policy "default" may not ask
	}
	if err != nil {
		return err
	}
	var has map[string]any
	if err := r.decode(&has); err != nil {
		return err
	}
	var lacks []string
	for _, n := range needs {
		if missing := n.missing(names(has[n.path])); len(missing) > 0 {
			lacks = append(lacks, fmt.Sprintf("%s on %s", strings.Join(missing, ", "), n.path))
		}
	}
	if len(lacks) > 0 {
		return verdict{kind: backends.ErrDenied,
			err: fmt.Errorf("the token's policies lack %s%s", strings.Join(lacks, " and "), b.misspelt(ref))}
	}
	return nil
}

// allowedToRead finds out at least whether the token is any good here.
func (b *backend) allowedToRead(ctx context.Context, e engine, ref backends.Ref) error {
	var err error
	if e == kv1 {
		_, err = b.readPlain(ctx, ref)
	} else {
		_, err = b.history(ctx, ref)
	}
	if errors.Is(backendKind(err), backends.ErrNotFound) {
		return nil
	}
	return err
}

// misspelt is a remedy for a path that begins as Vault's API has it.
func (b *backend) misspelt(ref backends.Ref) string {
	for _, start := range []string{"data/", "metadata/", b.options.Mount + "/"} {
		if strings.HasPrefix(ref.Path, start) {
			return fmt.Sprintf("; path counts from the mount, so leave %s out of it unless the entry is called so", start)
		}
	}
	return ""
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
