package azurekeyvault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
)

// Get implements backends.Backend. Previous is the newest enabled version
// before the latest one.
func (b *backend) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version, error) {
	op := operation{name: "get", ref: ref}
	err := b.begin(ctx, ref)
	version := "" // the latest
	if err == nil && at == backends.Pending {
		err = nothing("Key Vault keeps no pending version")
	}
	if err == nil && at == backends.Previous {
		version, err = b.previous(ctx, ref.Path)
	}
	var f found
	if err == nil {
		f, err = b.read(ctx, ref.Path, version)
	}
	if err == nil && f.payload.IsZero() {
		err = nothing("the value is empty")
	}
	if err != nil {
		return backends.Item{}, backends.Absent, op.fail(err)
	}
	return backends.Item{Payload: f.payload, Meta: f.tags.meta(f.payload)}, backends.Version(f.version), nil
}

// past is one version as it is listed, without its value.
type past struct {
	version     string
	created     time.Time
	enabled     bool
	tags        tags
	contentType string
}

// history lists the versions of a secret, the newest first. Key Vault lists
// them in no order and gives their age in whole seconds; of one second, a
// version that replaces another is the newer one.
func (b *backend) history(ctx context.Context, name string) ([]past, error) {
	var all []past
	pager := b.client.NewListSecretPropertiesVersionsPager(name, nil)
	for pager.More() {
		var page azsecrets.ListSecretPropertiesVersionsResponse
		err := b.call(ctx, false, func(ctx context.Context) (err error) {
			page, err = pager.NextPage(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, p := range page.Value {
			if p != nil && p.ID != nil {
				all = append(all, pastOf(*p))
			}
		}
	}
	return newestFirst(all), nil
}

func pastOf(p azsecrets.SecretProperties) past {
	f := foundIn(azsecrets.Secret{ID: p.ID, Tags: p.Tags, ContentType: p.ContentType})
	one := past{version: f.version, tags: f.tags, contentType: f.contentType, enabled: true}
	if a := p.Attributes; a != nil {
		if a.Created != nil {
			one.created = *a.Created
		}
		one.enabled = a.Enabled == nil || *a.Enabled
	}
	return one
}

// newestFirst sorts by age, and within a second by who replaced whom.
func newestFirst(all []past) []past {
	replaces := make(map[string]string, len(all))
	for _, p := range all {
		replaces[p.version] = p.tags[tagReplaces]
	}
	// depth is how many versions of this list a version builds on.
	depth := func(version string) (n int) {
		for range all {
			before, listed := replaces[version]
			if !listed || before == "" {
				break
			}
			version, n = before, n+1
		}
		return n
	}
	slices.SortFunc(all, func(a, b past) int {
		return cmp.Or(b.created.Compare(a.created), depth(b.version)-depth(a.version), strings.Compare(b.version, a.version))
	})
	return all
}

// previous is the newest enabled version before the latest one.
func (b *backend) previous(ctx context.Context, name string) (string, error) {
	latest, err := b.read(ctx, name, "")
	if err != nil && !says(err, codeDisabled) {
		return "", err
	}
	all, err := b.history(ctx, name)
	if err != nil {
		return "", err
	}
	if latest.version == "" && len(all) > 0 {
		latest.version = all[0].version
	}
	all = slices.DeleteFunc(all, func(p past) bool { return !p.enabled || p.version == latest.version })
	if len(all) == 0 {
		return "", nothing("no older version can be read")
	}
	for _, p := range all { // what the latest says that it replaced comes first within its second
		if p.created.Equal(all[0].created) && p.version == latest.tags[tagReplaces] {
			return p.version, nil
		}
	}
	return all[0].version, nil
}

// id is what a version's id may look like. Azure's own are 32 hexadecimal
// digits.
var id = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// Remove implements backends.Remover: it disables the version, so that nobody
// reads it until a person enables it again. Key Vault can't take one version
// away for good.
func (b *backend) Remove(ctx context.Context, ref backends.Ref, version backends.Version) error {
	op := operation{name: "remove", ref: ref}
	if err := b.begin(ctx, ref); err != nil {
		return op.fail(err)
	}
	if !id.MatchString(string(version)) {
		return op.fail(verdict{kind: backends.ErrInvalid, err: fmt.Errorf("%q is no version of a secret", version)})
	}
	latest, err := b.read(ctx, ref.Path, "")
	switch {
	case says(err, codeDisabled): // so disabling one more leaves no reader without a value who has one
	case errors.Is(kindOf(err), backends.ErrNotFound):
		return nil
	case err != nil:
		return op.fail(err)
	case latest.version == string(version): // an older one can't become the latest again
		return op.fail(verdict{kind: backends.ErrConflict, err: fmt.Errorf("version %s is the latest", version)})
	}
	err = b.update(ctx, ref.Path, string(version), azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)},
	})
	if err != nil && !errors.Is(kindOf(err), backends.ErrNotFound) {
		return op.fail(err)
	}
	return nil
}

// nothing is the verdict that Key Vault answered and has no value there.
func nothing(why string) error {
	return verdict{kind: backends.ErrNotFound, err: errors.New(why)}
}
