package awssecrets

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
)

// A quarrel over one secret is slowed down to what AWS allows; other secrets
// don't feel it.
func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAllowance()
		a.begin("x", nil)
		a.begin("y", nil)
		for i := range putBurst {
			if wait := a.take("x"); wait != 0 {
				t.Fatalf("value %d has to wait %v", i, wait)
			}
		}
		a.begin("x", nil) // again changes nothing
		for range 3 {
			if wait := a.take("x"); wait != putEvery {
				t.Errorf("it has to wait %v, want %v", wait, putEvery)
			}
		}
		if wait := a.take("y"); wait != 0 {
			t.Errorf("another secret has to wait %v", wait)
		}
		time.Sleep(putEvery)
		if wait := a.take("x"); wait != 0 {
			t.Errorf("after that it has to wait %v more", wait)
		}
	})
}

// changed is a secret that was changed just now.
func changed() answer {
	return answer{200, nil, strings.TrimSuffix(described, "}") + fmt.Sprintf(`,"LastChangedDate":%d}`, time.Now().Unix())}
}

// versionsMade is a list of n versions, made at that time.
func versionsMade(n int, at time.Time) answer {
	one := fmt.Sprintf(`{"VersionId":"v","CreatedDate":%d}`, at.Unix())
	return answer{200, nil, `{"Versions":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `],"NextToken":""}`}
}

// What was written before a restart counts: a process that begins anew gets no
// new burst.
func TestAllowanceAfterARestart(t *testing.T) {
	hour := time.Now().Add(-time.Hour)
	for name, row := range map[string]struct {
		described, listed answer
		asked             int
		wait              bool
	}{
		"many lately":         {changed(), versionsMade(putBurst, time.Now()), 1, true},
		"few lately":          {changed(), versionsMade(putBurst-1, time.Now()), 1, false},
		"many an hour ago":    {changed(), versionsMade(putBurst, hour), 1, false}, // which gives six
		"many more":           {changed(), versionsMade(3*putBurst, hour.Add(55*time.Minute)), 1, true},
		"at rest":             {answer{200, nil, described}, versionsMade(putBurst, time.Now()), 0, false},
		"the policy lacks it": {changed(), failing(400, "AccessDeniedException"), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, u := scripted(t, map[string]answer{"DescribeSecret": row.described, "ListSecretVersionIds": row.listed})
			as(t, keyOfAgent)
			var log bytes.Buffer
			b := openLogging(t, at(u), &log)
			_, err := b.PutPending(t.Context(), refX, itemOf("eyJ.a.b", 2))
			written, _ := s.asked("PutSecretValue")
			if row.wait {
				wantError(t, err, backends.ErrThrottled, "one in ten minutes")
				if wait := backends.RetryAfter(err); wait <= 0 || wait > putEvery || written != 0 {
					t.Errorf("it has to wait %v, and has written %d", wait, written)
				}
			} else if err != nil || written != 1 {
				t.Errorf("it has written %d: %v", written, err)
			}
			if _, err := b.PutPending(t.Context(), refX, itemOf("eyJ.a.c", 3)); (err != nil) != (row.wait || name == "few lately") {
				t.Errorf("the next: %v", err)
			}
			if n, _ := s.asked("ListSecretVersionIds"); n != row.asked {
				t.Errorf("it was asked for versions %d times, want %d", n, row.asked)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if says := strings.Contains(log.String(), "not counted"); says != (name == "the policy lacks it") {
				t.Errorf("the log: %s", log.String())
			}
		})
	}
}

// A list that can't be had is no permission to write.
func TestAllowanceUnknown(t *testing.T) {
	s, u := scripted(t, map[string]answer{"DescribeSecret": changed(), "ListSecretVersionIds": failing(500, "InternalServiceError")})
	b := opened(t, at(u))
	_, err := b.PutPending(t.Context(), refX, itemOf("eyJ.a.b", 2))
	wantError(t, err, backends.ErrUnavailable, "ListSecretVersionIds")
	if n, _ := s.asked("PutSecretValue"); n != 0 {
		t.Error("it was written all the same")
	}
}

// On a server that wasn't made for this test: another hand has used up what the
// secret may take, and the list has an end.
func TestAllowanceOnARealServer(t *testing.T) {
	s := onReal(t)
	ref := newRef(t)
	mustPut(t, opened(t, at(s.url)), ref, itemOf("eyJ.a.1", 1), backends.Absent)
	for i := range putBurst {
		s.Do(t, "PutSecretValue", map[string]any{"SecretId": ref.Path, "SecretString": fmt.Sprint(i), "VersionStages": []string{"OTHER"}})
	}
	_, err := opened(t, at(s.url)).PutPending(t.Context(), ref, itemOf("eyJ.a.2", 2))
	wantError(t, err, backends.ErrThrottled, "look for somebody else who writes it")
}
