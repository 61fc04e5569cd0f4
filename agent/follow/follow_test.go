package follow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/follow"
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
)

// noTrace searches all that a scene's followers said for parts of a token.
func noTrace(t *testing.T, s *scene) {
	t.Helper()
	said := s.log.String() + strings.Join(s.Doubts(), "\n")
	if err := s.Ready(); err != nil {
		said += err.Error()
	}
	for _, token := range []secret.Value{jwtOf(t, accountID, 1), jwtOf(t, accountID, 2), jwtOf(t, "other@service", 1)} {
		for _, part := range strings.Split(token.Reveal(), ".") {
			for i := range len(part) - 12 {
				if strings.Contains(said, part[i:i+12]) && part != strings.Split(token.Reveal(), ".")[0] {
					t.Fatal("a part of a token was told")
				}
			}
		}
	}
}

// TestANewVersionIsNoticed: within every, whatever the store can tell.
func TestANewVersionIsNoticed(t *testing.T) {
	for name, o := range map[string]mem.Options{"vault": mem.LikeVault(), "aws": mem.LikeAWS(), "azure": mem.LikeAzure(), "file": mem.LikeFile(), "poor": {}} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(t *testing.T, s *scene) {
				one, two := jwtOf(t, accountID, 1), jwtOf(t, accountID, 2)
				s.deliver(one, metaOf(accountID, one, 1))
				s.start()
				s.wantFile(one)
				s.wantState(follow.InStep, "")
				s.deliver(two, metaOf(accountID, two, 2))
				s.wait(every)
				s.wantFile(two)
				got := s.Status().Entries[0]
				if o.Metadata && (got.Generation != 2 || got.TokenID != 102) {
					t.Errorf("%+v", got)
				}
				if !o.Metadata && (got.ExpiresAt == nil || got.Generation != 0) {
					t.Errorf("without metadata the claims tell the end: %+v", got)
				}
			}, storeLike(o))
		})
	}
}

// TestTheLookIsCheap: at rest no value is read where the store tells its
// version, and nothing is written.
func TestTheLookIsCheap(t *testing.T) {
	for _, test := range []struct {
		name           string
		options        mem.Options
		gets, describe int
	}{
		{"a version can be asked for", mem.LikeVault(), 1, 120},
		{"or not", mem.LikeAzure(), 121, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inScene(t, func(t *testing.T, s *scene) {
				token := jwtOf(t, accountID, 1)
				s.deliver(token, metaOf(accountID, token, 1))
				s.start()
				s.wait(120 * every)
				if g, d, p := s.from.count("get"), s.from.count("describe"), s.to.count("put"); g != test.gets || d != test.describe || p != 1 {
					t.Errorf("an hour at rest took %d reads and %d descriptions, want %d and %d; %d writes, want 1", g, d, test.gets, test.describe, p)
				}
			}, storeLike(test.options))
		})
	}
}

// TestDescribeMayBeDenied: then the value is read.
func TestDescribeMayBeDenied(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		one, two := jwtOf(t, accountID, 1), jwtOf(t, accountID, 2)
		s.deliver(one, metaOf(accountID, one, 1))
		s.start()
		s.from.failing("describe", fail("describe", backends.ErrDenied))
		s.deliver(two, metaOf(accountID, two, 2))
		s.wait(every)
		s.wantFile(two)
		s.wantState(follow.InStep, "")
	})
}

// TestNothingBadReplacesAGoodValue: the file keeps the last good value, and
// readiness, log and status say why.
func TestNothingBadReplacesAGoodValue(t *testing.T) {
	other := func(t *testing.T, s *scene) { s.deliver(jwtOf(t, "other@service", 1), backends.Meta{}) }
	for _, test := range []struct {
		name   string
		spoil  func(t *testing.T, s *scene)
		reason follow.Reason
	}{
		{"deleted", func(_ *testing.T, s *scene) { s.store.Delete(from) }, follow.Missing},
		{"another shape", func(_ *testing.T, s *scene) { s.store.Overwrite(from, secret.New("hello")) }, follow.Unreadable},
		{"no token in it", func(_ *testing.T, s *scene) { s.store.Overwrite(from, secret.New(`{"url":"https://x"}`)) }, follow.Unreadable},
		{"no JWT", func(_ *testing.T, s *scene) { s.store.Overwrite(from, secret.New(`{"token":"changeme"}`)) }, follow.Foreign},
		{"another account's by its claims", other, follow.Foreign},
		{"another account's by its metadata", func(t *testing.T, s *scene) {
			token := jwtOf(t, accountID, 2)
			s.deliver(token, metaOf("other@service", token, 1))
		}, follow.Foreign},
		{"away", func(_ *testing.T, s *scene) { s.store.SetDown(true) }, follow.StoreAway},
		{"denied", func(_ *testing.T, s *scene) { s.store.Deny(from) }, follow.StoreDenied},
		{"throttled", func(_ *testing.T, s *scene) {
			s.from.failing("describe", fail("describe", backends.ErrThrottled))
			s.from.failing("get", fail("get", backends.ErrThrottled))
		}, follow.StoreThrottled},
		{"invalid", func(_ *testing.T, s *scene) {
			s.from.failing("describe", fail("describe", backends.ErrInvalid))
			s.from.failing("get", fail("get", backends.ErrInvalid))
		}, follow.StoreRefuses},
	} {
		t.Run(test.name, func(t *testing.T) {
			inScene(t, func(t *testing.T, s *scene) {
				one, three := jwtOf(t, accountID, 1), jwtOf(t, accountID, 3)
				s.deliver(one, metaOf(accountID, one, 1))
				s.start()
				test.spoil(t, s)
				s.wait(10 * every)
				s.wantFile(one)
				s.wantState(follow.Behind, test.reason)
				if told := strings.Count(s.log.String(), "reason="+string(test.reason)); told != 1 {
					t.Errorf("the log tells %d times of it, want once", told)
				}
				if since := s.Status().Entries[0].Since; since == nil || time.Since(*since) < 8*every {
					t.Errorf("it began %v", since)
				}
				s.store.SetDown(false)
				s.store.Allow(from)
				s.from.failing("get", nil)
				s.deliver(three, metaOf(accountID, three, 3))
				s.wait(every)
				s.wantFile(three)
				s.wantState(follow.InStep, "")
			})
		})
	}
}

// TestNothingBadIsTheFirstValue: then the follower isn't ready.
func TestNothingBadIsTheFirstValue(t *testing.T) {
	inScene(t, func(_ *testing.T, s *scene) {
		s.store.Overwrite(from, secret.New(`{"token":"changeme"}`))
		s.start()
		s.wait(10 * every)
		s.wantFile(secret.Value{})
		s.wantState(follow.Waiting, follow.Foreign)
	})
}

// TestAnyAccount: where none is declared, any token of Qualytics is copied, and
// nothing else.
func TestAnyAccount(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.entry.Account, s.entry.AccountID = "", ""
		token := jwtOf(t, "other@service", 1)
		s.deliver(token, backends.Meta{})
		s.start()
		s.wantFile(token)
		s.store.Overwrite(from, secret.New(`{"token":"changeme"}`))
		s.wait(every)
		s.wantFile(token)
		s.wantState(follow.Behind, follow.Foreign)
	})
}

// TestFirstLooksAreQuick: a consumer waits; later looks take their time.
func TestFirstLooksAreQuick(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.start()
		s.wantState(follow.Waiting, follow.Missing)
		s.wait(15 * time.Second)
		if n := s.from.count("get"); n != 5 { // at 0, 1, 3, 7 and 15 seconds
			t.Errorf("%d looks in the first 15 seconds, want 5", n)
		}
		s.wait(10 * every)
		if n := s.from.count("get"); n > 16 {
			t.Errorf("%d looks in five minutes", n)
		}
		token := jwtOf(t, accountID, 1)
		s.deliver(token, metaOf(accountID, token, 1))
		s.wait(every)
		s.wantFile(token)
	})
}

// TestThrottlingIsHonoured: the store is left alone for as long as it asks.
func TestThrottlingIsHonoured(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		token := jwtOf(t, accountID, 1)
		s.deliver(token, metaOf(accountID, token, 1))
		s.start()
		throttled := &backends.Error{Op: "get", Kind: backends.ErrThrottled, RetryAfter: 10 * every}
		s.from.failing("describe", throttled)
		s.from.failing("get", throttled)
		s.wait(every)
		before := s.from.count("get")
		s.wait(9 * every)
		if n := s.from.count("get") - before; n != 0 {
			t.Errorf("%d calls while the store asked for none", n)
		}
		s.wait(every)
		if n := s.from.count("get") - before; n != 1 {
			t.Errorf("%d calls after that, want 1", n)
		}
	})
}

// TestAFileIsPutBack: from memory, also while the store is away.
func TestAFileIsPutBack(t *testing.T) {
	for _, away := range []bool{false, true} {
		inScene(t, func(t *testing.T, s *scene) {
			one, old := jwtOf(t, accountID, 1), jwtOf(t, accountID, 9)
			s.deliver(one, metaOf(accountID, one, 1))
			s.start()
			s.store.SetDown(away)
			s.file.Delete(to)
			s.wait(every)
			s.wantFile(one)
			s.put(s.file, s.entry.To, old, backends.Meta{}) // a token of the account, and not the store's
			s.wait(every)
			s.wantFile(one)
			want := map[bool]follow.State{false: follow.InStep, true: follow.Behind}
			if got := s.Status().Entries[0].State; got != want[away] {
				t.Errorf("away %v: %s", away, got)
			}
		})
	}
}

// TestAForeignFileStays: unless it may be taken over. The consumer has no token
// then, and readiness says so.
func TestAForeignFileStays(t *testing.T) {
	for _, takeOver := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			inScene(t, func(t *testing.T, s *scene) {
				s.entry.TakeOver = takeOver
				one := jwtOf(t, accountID, 1)
				s.deliver(one, metaOf(accountID, one, 1))
				if before {
					s.file.Overwrite(to, secret.New("by hand"))
				}
				s.start()
				s.file.Overwrite(to, secret.New("by hand"))
				s.wait(every)
				if takeOver {
					s.wantFile(one)
					s.wantState(follow.InStep, "")
					return
				}
				if got := s.file.Peek(to).Reveal(); got != "by hand" {
					t.Errorf("the file holds %d bytes", len(got))
				}
				s.wantState(follow.Waiting, follow.FileForeign)
			})
		}
	}
}

// TestAFileThatCannotBeWritten is told, and tried again.
func TestAFileThatCannotBeWritten(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		one := jwtOf(t, accountID, 1)
		s.deliver(one, metaOf(accountID, one, 1))
		s.file.Deny(to)
		s.start()
		s.wantState(follow.Waiting, follow.FileFailed)
		s.file.Allow(to)
		s.wait(every)
		s.wantFile(one)
		s.wantState(follow.InStep, "")
	})
}

// TestARestartKeepsTheLastGoodValue: a follower that starts while its store is
// away is ready where the file holds a value of the account; also one that only
// the metadata beside it can tell.
func TestARestartKeepsTheLastGoodValue(t *testing.T) {
	for name, spec := range map[string]payload.Spec{
		"dotenv": {Format: "dotenv"}, "lossy": {Format: "template", Template: "key={{.Token}};"},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(t *testing.T, s *scene) {
				one, two := jwtOf(t, accountID, 1), jwtOf(t, accountID, 2)
				s.deliver(one, metaOf(accountID, one, 1))
				s.start()
				s.stop()
				s.store.SetDown(true)
				s.start()
				s.wantFile(one)
				s.wantState(follow.Behind, follow.StoreAway)
				s.store.SetDown(false)
				s.deliver(two, metaOf(accountID, two, 2))
				s.wait(every)
				s.wantFile(two)
				s.stop()
				s.store.SetDown(true)
				s.file.Overwrite(to, secret.New("by hand"))
				s.start()
				s.wantState(follow.Waiting, follow.StoreAway)
			}, shaped(spec))
		})
	}
}

// TestOnce looks once, and counts what isn't in step.
func TestOnce(t *testing.T) {
	s := newScene(t)
	s.entry.From.Backend, s.entry.To.Backend = s.store.Backend(), s.file.Backend()
	f := follow.New(follow.Options{Entries: []follow.Entry{s.entry}, Every: every})
	if behind := f.Once(t.Context()); behind != 1 {
		t.Errorf("%d entries are behind, want 1", behind)
	}
	token := jwtOf(t, accountID, 1)
	s.deliver(token, metaOf(accountID, token, 1))
	if behind := f.Once(t.Context()); behind != 0 {
		t.Errorf("%d entries are behind, want none", behind)
	}
	s.wantFile(token)
}

// TestAValueThatCannotBeRendered keeps the last one.
func TestAValueThatCannotBeRendered(t *testing.T) {
	inScene(t, func(t *testing.T, s *scene) {
		s.entry.URL = ""
		one := jwtOf(t, accountID, 1)
		s.deliver(one, metaOf(accountID, one, 1))
		s.start()
		s.wantFile(secret.Value{})
		s.wantState(follow.Waiting, follow.CannotRender)
	})
}
