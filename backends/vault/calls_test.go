package vault

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/internal/realtest"
)

// TestRequestsOfARotation holds the requests of each call, once it is logged in
// and knows the engine: docs/benchmarks.md lists them with their reasons.
func TestRequestsOfARotation(t *testing.T) {
	v := realtest.Vault(t)
	mount := v.MountKV(t, "2")
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(relay{to: v.Addr, spoil: func(_ http.ResponseWriter, r *http.Request, _ func() *http.Response) bool {
		what, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"+mount+"/"), "/")
		if strings.HasPrefix(r.URL.Path, "/v1/sys/capabilities-self") {
			what = "capabilities"
		}
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+what)
		return false
	}})
	t.Cleanup(s.Close)
	b, ref := opened(t, withToken(t, s.URL, mount, v.NewToken(t, "1h", v.Policy(t, manualPolicy(t, 2, mount))))), refOf("connections/x")
	v1 := mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
	if err := b.Check(t.Context(), ref); err != nil { // the first of a day also looks at what is kept
		t.Fatal(err)
	}
	for _, tt := range []struct {
		call string
		do   func() error
		want []string
	}{
		{"get", func() error { _, _, err := b.Get(t.Context(), ref, backends.Current); return err }, []string{"GET data"}},
		{"describe", func() error { _, _, err := b.Describe(t.Context(), ref); return err }, []string{"GET metadata"}},
		{"check", func() error { return b.Check(t.Context(), ref) }, []string{"PUT capabilities"}},
		{"put", func() error { _, err := b.Put(t.Context(), ref, itemOf("eyJ.a.2", 2), v1); return err },
			[]string{"GET data", "PUT data", "PATCH metadata"}},
	} {
		mu.Lock()
		asked = nil
		mu.Unlock()
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.call, err)
		}
		mu.Lock()
		if diff := cmp.Diff(tt.want, asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.call, diff)
		}
		mu.Unlock()
	}
}
