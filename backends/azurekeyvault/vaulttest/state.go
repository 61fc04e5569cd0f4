package vaulttest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// The limits of Key Vault's documents.
const (
	maxValue       = 25_000
	maxTags        = 15
	maxTag         = 256
	maxContentType = 255
	pageSize       = 25
)

var namePattern = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// refusal is an error as Key Vault answers it.
type refusal struct {
	status      int
	code, inner string
	message     string
}

func (r *refusal) Error() string { return r.message }

var (
	errMissing    = &refusal{http.StatusNotFound, "SecretNotFound", "", "A secret with this name and version was not found in this key vault."}
	errDisabled   = &refusal{http.StatusForbidden, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret."}
	errDeleted    = &refusal{http.StatusConflict, "Conflict", "ObjectIsDeletedButRecoverable", "Secret is currently in a deleted but recoverable state, and its name cannot be reused."}
	errRecovering = &refusal{http.StatusConflict, "Conflict", "ObjectIsBeingRecovered", "Secret is currently being recovered and cannot be re-created; retry later."}
)

func bad(message string) error {
	return &refusal{http.StatusBadRequest, "BadParameter", "", message}
}

// entry is a secret with all of its versions, the newest last.
type entry struct {
	name     string
	versions []*azsecrets.Secret
	managed  bool
	deleted  bool
	// recovering is how many writes are still refused for a recovery.
	recovering int
}

// state is what the vault keeps.
type state struct {
	url string

	mu      sync.Mutex
	entries map[string]*entry // by the name in lower case
	slow    int
	ahead   time.Duration
}

func newState(url string) *state { return &state{url: url, entries: map[string]*entry{}} }

// entry finds a secret, or makes one without versions.
func (s *state) entry(name string) *entry {
	key := strings.ToLower(name)
	if s.entries[key] == nil {
		s.entries[key] = &entry{name: name}
	}
	return s.entries[key]
}

// now is the time in whole seconds, as Key Vault gives it.
func (s *state) now() *time.Time {
	return to.Ptr(time.Now().Add(s.ahead).UTC().Truncate(time.Second))
}

func (s *state) set(name string, p azsecrets.SetSecretParameters) (azsecrets.Secret, error) {
	if err := check(name, p.Value, p.ContentType, p.Tags); err != nil {
		return azsecrets.Secret{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(name)
	switch {
	case e.managed:
		return azsecrets.Secret{}, &refusal{http.StatusForbidden, "Forbidden", "", "Operation is not allowed on a managed secret."}
	case e.recovering > 0:
		e.recovering--
		e.deleted = e.recovering > 0
		return azsecrets.Secret{}, errRecovering
	case e.deleted:
		return azsecrets.Secret{}, errDeleted
	}
	one := &azsecrets.Secret{
		ID: s.id(e.name), Value: p.Value, ContentType: p.ContentType, Tags: p.Tags,
		Attributes: &azsecrets.SecretAttributes{
			Enabled: to.Ptr(true), Created: s.now(), Updated: s.now(),
			RecoverableDays: to.Ptr[int32](90), RecoveryLevel: to.Ptr("Recoverable+Purgeable"),
		},
	}
	change(one.Attributes, p.SecretAttributes)
	e.versions = append(e.versions, one)
	return *one, nil
}

// check refuses what Key Vault's documents forbid.
func check(name string, value, contentType *string, tags map[string]*string) error {
	switch {
	case !namePattern.MatchString(name):
		return bad("The request URI contains an invalid name.")
	case value == nil:
		return bad("The property value is missing.")
	case len(*value) > maxValue:
		return bad("The secret value is too long.")
	}
	return checkBeside(contentType, tags)
}

func checkBeside(contentType *string, tags map[string]*string) error {
	if contentType != nil && utf8.RuneCountInString(*contentType) > maxContentType {
		return bad("The content type is too long.")
	}
	if len(tags) > maxTags {
		return bad("There are too many tags.")
	}
	for name, tag := range tags {
		if name == "" || utf8.RuneCountInString(name) > maxTag || (tag != nil && utf8.RuneCountInString(*tag) > maxTag) {
			return bad("A tag is too long.")
		}
	}
	return nil
}

// change lays the attributes that were sent over those that are kept, in whole
// seconds.
func change(kept, sent *azsecrets.SecretAttributes) {
	if sent == nil {
		return
	}
	if sent.Enabled != nil {
		kept.Enabled = sent.Enabled
	}
	if sent.Expires != nil {
		kept.Expires = to.Ptr(sent.Expires.UTC().Truncate(time.Second))
	}
	if sent.NotBefore != nil {
		kept.NotBefore = to.Ptr(sent.NotBefore.UTC().Truncate(time.Second))
	}
}

func (s *state) id(name string) *azsecrets.ID {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // it never fails
	return to.Ptr(azsecrets.ID(s.url + "/secrets/" + name + "/" + hex.EncodeToString(raw)))
}

// find is one version, "" being the latest. A version that is not yet valid, or
// not any more, is found like any other: only clients heed those times.
func (s *state) find(name, version string) (*azsecrets.Secret, error) {
	e := s.entries[strings.ToLower(name)]
	if e == nil || e.deleted || len(e.versions) == 0 {
		return nil, errMissing
	}
	if version == "" {
		return e.versions[len(e.versions)-1], nil
	}
	for _, one := range e.versions {
		if one.ID.Version() == version {
			return one, nil
		}
	}
	return nil, errMissing
}

func (s *state) get(name, version string) (azsecrets.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(name, version)
	switch {
	case err != nil:
		return azsecrets.Secret{}, err
	case !*one.Attributes.Enabled:
		return azsecrets.Secret{}, errDisabled
	}
	answer := *one
	if s.entry(name).managed {
		answer.Managed = to.Ptr(true)
		answer.KID = to.Ptr(azsecrets.ID(strings.Replace(string(*one.ID), "/secrets/", "/keys/", 1)))
	}
	return answer, nil
}

// update makes a new object, for answers under way share the old one.
func (s *state) update(name, version string, p azsecrets.UpdateSecretPropertiesParameters) (azsecrets.Secret, error) {
	if err := checkBeside(p.ContentType, p.Tags); err != nil {
		return azsecrets.Secret{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.find(name, version)
	if err != nil {
		return azsecrets.Secret{}, err
	}
	one, attributes := *old, *old.Attributes
	one.Attributes = &attributes
	attributes.Updated = s.now()
	change(&attributes, p.SecretAttributes)
	if p.ContentType != nil {
		one.ContentType = p.ContentType
	}
	if p.Tags != nil {
		one.Tags = p.Tags
	}
	all := s.entry(name).versions
	all[slices.Index(all, old)] = &one
	answer := one
	answer.Value = nil
	return answer, nil
}

// list is one page after another, in no order that has to do with age.
func (s *state) list(name string) ([][]*azsecrets.SecretProperties, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(name, ""); err != nil {
		return nil, err
	}
	var all []*azsecrets.SecretProperties
	for _, one := range s.entry(name).versions {
		all = append(all, &azsecrets.SecretProperties{ID: one.ID, ContentType: one.ContentType, Tags: one.Tags, Attributes: one.Attributes})
	}
	slices.SortFunc(all, func(a, b *azsecrets.SecretProperties) int {
		return strings.Compare(a.ID.Version(), b.ID.Version())
	})
	return slices.Collect(slices.Chunk(all, pageSize)), nil
}

func (s *state) remove(name string) (azsecrets.DeletedSecret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, err := s.find(name, "")
	if err != nil {
		return azsecrets.DeletedSecret{}, err
	}
	s.entry(name).deleted = true
	return s.removed(one), nil
}

func (s *state) removed(one *azsecrets.Secret) azsecrets.DeletedSecret {
	return azsecrets.DeletedSecret{
		ID: one.ID, Attributes: one.Attributes, Tags: one.Tags, ContentType: one.ContentType,
		RecoveryID:  to.Ptr(s.url + "/deletedsecrets/" + one.ID.Name()),
		DeletedDate: s.now(), ScheduledPurgeDate: to.Ptr(s.now().AddDate(0, 0, 90)),
	}
}

func (s *state) getRemoved(name string) (azsecrets.DeletedSecret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[strings.ToLower(name)]
	if e == nil || !e.deleted {
		return azsecrets.DeletedSecret{}, errMissing
	}
	return s.removed(e.versions[len(e.versions)-1]), nil
}

// restore begins a recovery. Key Vault answers before it is done.
func (s *state) restore(name string) (azsecrets.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[strings.ToLower(name)]
	switch {
	case e == nil || !e.deleted:
		return azsecrets.Secret{}, errMissing
	case e.recovering > 0:
		return azsecrets.Secret{}, errRecovering
	}
	e.recovering = s.slow
	e.deleted = s.slow > 0
	answer := *e.versions[len(e.versions)-1]
	answer.Value = nil
	return answer, nil
}

func (s *state) purge(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(name)
	if e := s.entries[key]; e == nil || !e.deleted {
		return errMissing
	}
	delete(s.entries, key)
	return nil
}
