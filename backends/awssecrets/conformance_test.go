package awssecrets

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// escapes are names that AWS refuses, or takes for something else.
var escapes = []string{
	"", "a b", "a?b", "a#b", "a*", `a\b`, "a%2fb", "a\nb", "a:b", "é", "a!b",
	"arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf", "name-AbCdEf", "-AbCdEf", "a/qualytics-tokens",
	strings.Repeat("x", 513),
}

// TestConformance has no recovery: a deletion by another hand is final.
func TestConformance(t *testing.T) {
	s := onReal(t)
	backendtest.Run(t, s.harness(t, at(s.url), func(t *testing.T, ref backends.Ref) {
		s.Do(t, "DeleteSecret", map[string]any{"SecretId": ref.Path, "ForceDeleteWithoutRecovery": true})
	}))
}

// TestConformanceWithRecover: another hand schedules deletions, which the agent
// takes back.
func TestConformanceWithRecover(t *testing.T) {
	s := onReal(t)
	o := at(s.url)
	o.Recover = true
	backendtest.Run(t, s.harness(t, o, func(t *testing.T, ref backends.Ref) {
		s.Do(t, "DeleteSecret", map[string]any{"SecretId": ref.Path})
	}))
}

func (s store) harness(t *testing.T, o *Options, remove func(*testing.T, backends.Ref)) backendtest.Harness {
	log := &backendtest.Log{}
	open := func(t *testing.T, key, endpoint string) backends.Backend {
		as(t, key)
		other := *o
		other.Endpoint = endpoint
		return openLogging(t, &other, io.MultiWriter(t.Output(), log))
	}
	losing, silent, closed := losingAnswers(t, s.url), hanging(t), nobody(t)
	return backendtest.Harness{
		Open:      func(t *testing.T) backends.Backend { return open(t, keyOfAgent, s.url) },
		Ref:       newRef,
		Overwrite: func(t *testing.T, ref backends.Ref, payload secret.Value) { s.overwrite(t, ref.Path, payload.Reveal()) },
		Delete:    remove,
		Denied: func(t *testing.T) (backends.Backend, backends.Ref) {
			return open(t, keyOfNobody, s.url), newRef(t)
		},
		Unreachable: func(t *testing.T) backends.Backend { return open(t, keyOfAgent, closed) },
		AnswerLost:  func(t *testing.T) backends.Backend { return open(t, keyOfAgent, losing) },
		Hanging:     func(t *testing.T) backends.Backend { return open(t, keyOfAgent, silent) },
		Throttled: func(t *testing.T) backends.Backend {
			return open(t, keyOfAgent, busy(t))
		},
		Annotate: func(t *testing.T, ref backends.Ref) func(*testing.T) bool {
			s.Do(t, "TagResource", map[string]any{"SecretId": ref.Path, "Tags": []any{map[string]any{"Key": "team", "Value": "data"}}})
			return func(t *testing.T) bool { return s.tagsOf(t, ref.Path)["team"] == "data" }
		},
		Names: func(t *testing.T) []string {
			name := realtest.Name(t)
			return []string{
				name, "/" + name, name + "/_+=.@-", name + "-abcde", name + "-abcdefg", "-" + name, name + strings.Repeat("n", 512-len(name)),
			}
		},
		RetryAfter: 7 * time.Second,
		Escapes:    escapes,
		Secrets:    []secret.Value{secret.New(keySecret)},
		Log:        log,
	}
}

// busy is a store that asks every call to come back later.
func busy(t *testing.T) string {
	t.Helper()
	s, address := scripted(t, nil)
	for action := range s.answers {
		busy := failing(http.StatusBadRequest, "ThrottlingException")
		busy.header = map[string]string{"Retry-After": "7"}
		s.set(action, busy)
	}
	return address
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// losingAnswers is a way to the server that loses the answers to writes of
// values and of labels.
func losingAnswers(t *testing.T, to string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer func() { _ = resp.Body.Close() }()
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if action == "CreateSecret" || action == "PutSecretValue" || action == "UpdateSecretVersionStage" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// hanging is a server that takes requests and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	over, end := context.WithCancel(context.Background())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees a connection end
		select {
		case <-r.Context().Done():
		case <-over.Done():
		}
	}))
	t.Cleanup(func() {
		end()
		s.Close()
	})
	return s.URL
}
