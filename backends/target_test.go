package backends_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/faulty"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/secret"
)

// oldToken and newToken look like Qualytics' JWTs.
var (
	oldToken = secret.New("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvbGQiLCJleHAiOjF9." + strings.Repeat("OldSignature", 4))
	newToken = secret.New("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJuZXciLCJleHAiOjJ9." + strings.Repeat("NewSignature", 4))
)

// line is a format that is "token: <T>".
type line struct{}

const linePrefix = "token: "

func (line) Render(token backends.Token) (secret.Value, error) {
	if token.Value.IsZero() {
		return secret.Value{}, nil
	}
	if strings.Contains(token.Value.Reveal(), "\n") {
		return secret.Value{}, fmt.Errorf("a line break in %s", token.Value.Reveal())
	}
	return secret.New(linePrefix + token.Value.Reveal()), nil
}

func (line) Extract(payload secret.Value) (secret.Value, error) {
	text, ok := strings.CutPrefix(payload.Reveal(), linePrefix)
	if !ok {
		return secret.Value{}, errors.New("not a token line")
	}
	return secret.New(text), nil
}

func (line) Lossy() bool { return false }

// sealed is line, and can't be read back.
type sealed struct{ line }

func (sealed) Extract(secret.Value) (secret.Value, error) {
	return secret.Value{}, backends.ErrLossy
}
func (sealed) Lossy() bool { return true }

// target puts a script between a Target and a store.
func target(store *mem.Store, script faulty.Script) *backends.Target {
	return &backends.Target{
		Ref:     backends.Ref{Backend: "store", Path: "ci"},
		Backend: faulty.Wrap(store.Backend(), script),
		Format:  line{},
	}
}

// itemOf is a rendered token with its metadata.
func itemOf(t *testing.T, target *backends.Target, token secret.Value) backends.Item {
	t.Helper()
	payload, err := target.Payload(backends.Token{Value: token})
	if err != nil {
		t.Fatal(err)
	}
	return backends.Item{Payload: payload, Meta: backends.Meta{Slot: "a/b", Generation: 4, Token: token.Fingerprint()}}
}

// wantError checks an error's kind, that it names the place once, and that it
// shows no part of either token.
func wantError(t *testing.T, err error, kind error) {
	t.Helper()
	var e *backends.Error
	if !errors.As(err, &e) || !errors.Is(e.Kind, kind) {
		t.Fatalf("got %v, want kind %v", err, kind)
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range []secret.Value{oldToken, newToken} {
		for _, part := range strings.Split(secret.Reveal(), ".")[1:] {
			if strings.Contains(text, part) {
				t.Error("the error shows a part of a token")
			}
		}
	}
	if n := strings.Count(err.Error(), "store/ci"); n != 1 {
		t.Errorf("the error names the place %d times: %v", n, err)
	}
}

func TestPayload(t *testing.T) {
	small := target(mem.New(mem.Options{MaxPayload: 12}), faulty.Nothing())
	got, err := small.Payload(backends.Token{Value: secret.New("12345")})
	if err != nil || got.Reveal() != "token: 12345" {
		t.Fatalf("a payload at the limit: %q, %v", got.Reveal(), err)
	}
	for name, token := range map[string]secret.Value{
		"a byte too much":    secret.New("123456"),
		"can't be rendered":  secret.New(newToken.Reveal() + "\n"),
		"nothing to deliver": {},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := small.Payload(backends.Token{Value: token})
			wantError(t, err, backends.ErrInvalid)
		})
	}
}

func TestRead(t *testing.T) {
	const at = "ci"
	ours := backends.Meta{Slot: "a/b", Generation: 4, Token: newToken.Fingerprint()}
	payload := secret.New(linePrefix + newToken.Reveal())
	tests := []struct {
		name   string
		format backends.Format
		meta   backends.Meta
		setup  func(*mem.Store)
		want   backends.Reading
	}{
		{
			name: "nothing", format: line{},
			setup: func(s *mem.Store) { s.Wipe() },
		},
		{
			name: "deleted", format: line{}, meta: ours,
			setup: func(s *mem.Store) { s.Delete(at) },
			want:  backends.Reading{Version: "1"},
		},
		{
			name: "ours", format: line{}, meta: ours,
			want: backends.Reading{Present: true, Version: "1", Payload: payload.Fingerprint(), Token: newToken, Meta: ours},
		},
		{
			name: "metadata of another token", format: line{}, meta: backends.Meta{Slot: "a/b", Generation: 3, Token: oldToken.Fingerprint()},
			want: backends.Reading{Present: true, Version: "1", Payload: payload.Fingerprint(), Token: newToken},
		},
		{
			name: "lossy: metadata is all that is known", format: sealed{}, meta: ours,
			want: backends.Reading{Present: true, Version: "1", Payload: payload.Fingerprint(), Meta: ours},
		},
		{
			name: "another shape", format: line{}, meta: ours,
			setup: func(s *mem.Store) { s.Overwrite(at, secret.New("by hand")) },
			want:  backends.Reading{Present: true, Version: "2", Payload: secret.New("by hand").Fingerprint()},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := mem.New(mem.LikeVault())
			target := target(store, faulty.Nothing())
			target.Format = test.format
			if _, err := target.Backend.Put(t.Context(), target.Ref, backends.Item{Payload: payload, Meta: test.meta}, ""); err != nil {
				t.Fatal(err)
			}
			if test.setup != nil {
				test.setup(store)
			}
			got, err := target.Read(t.Context(), backends.Current)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.Comparer(secret.Value.Equal)); diff != "" {
				t.Errorf("reading (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReadUnreachable: no Reading says "nothing there" of a store that didn't
// answer.
func TestReadUnreachable(t *testing.T) {
	for _, kind := range []error{backends.ErrUnavailable, backends.ErrDenied, backends.ErrThrottled, backends.ErrInvalid} {
		target := target(mem.New(mem.LikeVault()), faulty.Always(faulty.Get, faulty.Fail(kind)))
		_, err := target.Read(t.Context(), backends.Current)
		wantError(t, err, kind)
	}
	// A kind that sits in a cause doesn't count.
	deep := &backends.Error{
		Op: "get", Ref: backends.Ref{Backend: "store", Path: "ci"}, Kind: backends.ErrUnavailable,
		Err: fmt.Errorf("a proxy says: %w", backends.ErrNotFound),
	}
	target := target(mem.New(mem.LikeVault()), faulty.Always(faulty.Get, faulty.Fail(deep)))
	_, err := target.Read(t.Context(), backends.Current)
	wantError(t, err, backends.ErrUnavailable)
}

// TestDescribe: what a store says of a place, and how it fails, is told as it is.
func TestDescribe(t *testing.T) {
	store := mem.New(mem.LikeVault())
	described := target(store, faulty.Nothing())
	item := itemOf(t, described, newToken)
	_, _, err := described.Describe(t.Context())
	wantError(t, err, backends.ErrNotFound)
	back, err := described.Deliver(t.Context(), item, backends.Absent)
	if err != nil {
		t.Fatal(err)
	}
	meta, version, err := described.Describe(t.Context())
	if err != nil || meta != item.Meta || version != back.Version || !described.Describes() {
		t.Errorf("described %+v at %q, %v; delivered %+v at %q", meta, version, err, item.Meta, back.Version)
	}
	for _, kind := range []error{backends.ErrUnavailable, backends.ErrDenied, backends.ErrThrottled} {
		_, _, err := target(store, faulty.Always(faulty.Describe, faulty.Fail(kind))).Describe(t.Context())
		wantError(t, err, kind)
	}
	mute := target(mem.New(mem.LikeAzure()), faulty.Nothing())
	if mute.Describes() {
		t.Error("a store that can't describe says that it can")
	}
	_, _, err = mute.Describe(t.Context())
	wantError(t, err, backends.ErrInvalid)
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	refusing := faulty.Always(faulty.Check, faulty.Fail(backends.ErrDenied))
	if err := target(mem.New(mem.LikeVault()), faulty.Nothing()).Check(ctx); err != nil {
		t.Errorf("nothing speaks against a put: %v", err)
	}
	wantError(t, target(mem.New(mem.LikeVault()), refusing).Check(ctx), backends.ErrDenied)
	mute := target(mem.New(mem.LikeAzure()), refusing)
	mute.Backend = struct{ backends.Backend }{mute.Backend} // no Checker
	if err := mute.Check(ctx); err != nil {
		t.Errorf("a store that can't be asked: %v", err)
	}
}
