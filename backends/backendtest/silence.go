package backendtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// Log takes what backends log, at every level, to be searched for secrets. It
// is an io.Writer, safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	all strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *Log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func silenceTests() []subtest {
	return []subtest{
		{name: "ErrorsHoldNoSecret", run: errorsHoldNoSecret},
		{name: "LogsHoldNoSecret", run: logsHoldNoSecret, lacks: func(h Harness) bool { return h.Log == nil }},
		{name: "NothingPrintsASecret", run: nothingPrintsASecret},
	}
}

// wantNoTrace searches a text for the payload and for the credentials. It tells
// what, and not the text.
func (s *suite) wantNoTrace(t *testing.T, what, text string, payload secret.Value) {
	t.Helper()
	for i, v := range append(slices.Clone(s.Secrets), payload) {
		if hasTrace(text, v) {
			t.Errorf("%s holds a part of secret %d of %d", what, i+1, len(s.Secrets)+1)
		}
	}
}

// printed is v by every verb that goes into its depth.
func printed(v any) string { return fmt.Sprintf("%v %+v %#v %s", v, v, v, v) }

// errorsHoldNoSecret provokes what errors it can and searches their texts.
func errorsHoldNoSecret(t *testing.T, s *suite) {
	item := newItem(1)
	for _, err := range s.provoke(t, item) {
		if err != nil {
			s.wantNoTrace(t, fmt.Sprintf("an error of kind %v", backends.KindOf(err)), err.Error()+printed(err), item.Payload)
		}
	}
}

func logsHoldNoSecret(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	v := put(t, b, ref, item, backends.Absent)
	for _, c := range calls(b, item, v) {
		_ = c.do(t.Context(), ref) // some fail: what is told of that is searched too
	}
	s.provoke(t, item)
	s.wantNoTrace(t, "the log", s.Log.text(), item.Payload)
}

// nothingPrintsASecret: a backend, before and after it was used, and what comes
// out of it.
func nothingPrintsASecret(t *testing.T, s *suite) {
	b, ref, item := s.open(t), s.Ref(t), newItem(1)
	s.wantNoTrace(t, "an unused backend", printed(b), item.Payload)
	v := put(t, b, ref, item, backends.Absent)
	found, _ := get(t, b, ref, backends.Current)
	s.wantNoTrace(t, "a used backend", printed(b), item.Payload)
	s.wantNoTrace(t, "what was read", printed(found)+printed(v)+printed(ref)+printed(b.Properties()), item.Payload)
}

// provoke collects errors of every kind that the harness can bring about.
func (s *suite) provoke(t *testing.T, item backends.Item) []error {
	b, version := s.open(t), s.version(t)
	var errs []error
	try := func(ctx context.Context, b backends.Backend, ref backends.Ref) {
		for _, c := range calls(b, item, version) {
			errs = append(errs, c.do(ctx, ref))
		}
	}
	taken := s.Ref(t)
	s.Overwrite(t, taken, newPayload())
	try(t.Context(), b, taken)
	try(done(t), b, s.Ref(t))
	for _, path := range s.Escapes {
		ref := s.Ref(t)
		ref.Path = path
		try(t.Context(), b, ref)
	}
	if s.Denied != nil {
		denied, ref := s.Denied(t)
		try(t.Context(), closing(t, denied), ref)
	}
	for _, broken := range []func(*testing.T) backends.Backend{s.Unreachable, s.AnswerLost, s.Throttled} {
		if broken != nil {
			try(t.Context(), closing(t, broken(t)), s.Ref(t))
		}
	}
	if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Error("no error could be provoked")
	}
	return errs
}
