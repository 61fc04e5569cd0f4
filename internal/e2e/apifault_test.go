package e2e

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/qualytics/sim"
)

// oneToken declares one slot with one file.
const oneToken = `
backends:
  local: {type: file, dir: delivered}
accounts:
  - name: API Faults
    role: Member
    owner: tests@acme.example
    purpose: Shows what a broken API does
    tokens:
      - {name: token, deliver: [{backend: local, path: token, format: token}]}
`

const (
	oneSlot    = "api_faults@service/token"
	oneAccount = "api_faults@service"
)

func (s *site) oneConsumer() outside.Consumer {
	return s.fromFile("delivered/token", oneSlot, outside.Whole)
}

// delivered is the token at the one target.
func (s *site) delivered() secret.Value {
	s.t.Helper()
	token, err := s.oneConsumer().Read(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return secret.New(token)
}

// holds are the waits that an agent has logged, in order.
func (a *agent) holds() []time.Duration {
	var waits []time.Duration
	for one := range strings.Lines(a.err.String()) {
		var record struct {
			Time  time.Time `json:"time"`
			Msg   string    `json:"msg"`
			Until time.Time `json:"until"`
		}
		if strings.Contains(one, "calls to Qualytics wait") && json.Unmarshal([]byte(one), &record) == nil {
			waits = append(waits, record.Until.Sub(record.Time))
		}
	}
	return waits
}

// apiFault is one way of an API to be out of order.
type apiFault struct {
	effect sim.Effect
	log    string // what the warning says behind the call's name
	reason string // why calls wait
	steady bool   // the server says how long to wait
	slow   bool   // the answer doesn't end
}

var apiFaults = map[string]apiFault{
	"401":       {effect: sim.Answer(401, `{"detail":"Could not validate credentials"}`), log: `401.*role Admin`, reason: "credential_refused"},
	"403":       {effect: sim.Answer(403, `{"detail":"Not enough permissions"}`), log: `403.*role Admin`, reason: "credential_refused"},
	"429":       {effect: sim.Throttle(2 * time.Second), log: `429`, reason: "api_throttled", steady: true},
	"500":       {effect: sim.Answer(500, `{"detail":"Internal Server Error"}`), log: `500`, reason: "api_unavailable"},
	"page":      {effect: sim.NotJSON(), log: `JSON`, reason: "api_unavailable"},
	"endless":   {effect: sim.Flood(-1), log: `(larger than|no complete answer within|not done within)`, reason: "api_unavailable", slow: true},
	"hang":      {effect: sim.Hang(), log: `(no complete answer within 1s|not done within 4s)`, reason: "api_unavailable", slow: true},
	"cut":       {effect: sim.CutBody(), log: `the answer was cut`, reason: "api_unavailable"},
	"not found": {effect: sim.Answer(404, `{"detail":"Not Found"}`), log: `404.*is the url right`, reason: "api_unavailable"},
}

// TestAPIFaults: whatever the API answers, the log names the call and what is
// wrong, calls come ever more rarely, the token in use is left alone, and the
// agent goes on by itself.
func TestAPIFaults(t *testing.T) {
	t.Parallel()
	program(t)
	for name, fault := range apiFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testAPIFault(t, fault)
		})
	}
}

func testAPIFault(t *testing.T, fault apiFault) {
	s := newSite(t)
	if fault.slow {
		s.api = "timeout: 1s"
	}
	server, q := s.serveSim()
	s.declare(q.Base, outside.Quick, oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	earlier := len(a.holds())
	rule := server.Inject(sim.Fault{Times: -1, Effect: fault.effect})
	a.awaitLog(`"WARN".*calls to Qualytics wait.*GET /user[^"]*: [^"]*` + fault.log)
	a.awaitStatus("calls to be held", func(got status) bool { return got.Held != nil && got.Held.Reason == fault.reason })
	before := s.delivered()
	await(t, patience, "three failures", func() (bool, string) {
		return len(a.holds()) >= earlier+3, "the log ends with\n" + outside.Tail(a.err.String(), 5)
	})
	if waits := a.holds()[earlier:]; !fault.steady && !slices.IsSorted(waits) || slices.Max(waits) < time.Second {
		t.Errorf("the waits are %v; they should rise", waits)
	}
	if !s.delivered().Equal(before) {
		t.Error("the target was changed while the API was out of order")
	}
	if err := server.Check(before); err != nil {
		t.Errorf("the token in use: %v", err)
	}
	rule.Remove()
	a.awaitStatus("the next rotation", func(got status) bool {
		return got.Held == nil && !s.delivered().Equal(before) && got.slot(oneSlot).State == "current"
	})
	a.keepPages()
	s.noTraces("stderr of agent 1", "page /api/v1/status")
}

// TestWrongURL: an address where nothing listens, another web server, and one
// whose certificate nobody vouches for. Each is named in the log, and costs the
// token in use nothing.
func TestWrongURL(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Quick, oneToken)
	a := s.start()
	a.awaitStatus("the first token", allServed)
	if code := a.terminate(t, patience); code != 0 {
		t.Fatalf("it ended with %d", code)
	}
	token := s.delivered()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	var asked atomic.Int64 // over TLS
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		server.ServeHTTP(w, r)
	}))
	secure.Config.ErrorLog = silent
	secure.StartTLS()
	defer secure.Close()
	for address, log := range map[string]string{
		vacant(t):  `GET /user[^"]*connection refused`,
		other.URL:  `GET /user[^"]*404.*is the url right`,
		secure.URL: `GET /user[^"]*certificate.*CA file`,
	} {
		s.declare(address, outside.Quick, oneToken)
		a = s.start()
		a.awaitLog(`"WARN".*calls to Qualytics wait.*` + log)
		if code := a.terminate(t, patience); code != 0 {
			t.Errorf("%s: it ended with %d", address, code)
		}
		if err := server.Check(token); err != nil || !s.delivered().Equal(token) {
			t.Errorf("%s: the token was touched: %v", address, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests, with the credential, went to a server that can't be trusted", asked.Load())
	}
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	s.api += ", ca_file: ca.pem"
	s.declare(secure.URL, outside.Quick, oneToken)
	a = s.start()
	a.awaitStatus("a rotation over TLS", func(got status) bool {
		return !s.delivered().Equal(token) && got.slot(oneSlot).State == "current"
	})
	s.noTraces("stderr of agent 1", "stderr of agent 5")
}

// vacant is an address where nobody listens.
func vacant(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "http://" + listener.Addr().String()
}

// TestAPIComesBack: nobody listens at the right address at first. The agent
// waits, and does its work when somebody does.
func TestAPIComesBack(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	server, _ := s.serveSim()
	address := vacant(t)
	s.declare(address, outside.Calm, oneToken)
	a := s.start()
	a.awaitLog(`"WARN".*calls to Qualytics wait.*connection refused`)
	if got := s.statusCommand(); got.Held == nil || got.Held.Reason != "api_unavailable" || got.slot(oneSlot).State != "new" {
		t.Errorf("status while nobody listens: %+v", got)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Skipf("another process took the port meanwhile: %v", err)
	}
	serving := &httptest.Server{Listener: listener, Config: &http.Server{Handler: server, ReadHeaderTimeout: patience}}
	serving.Start()
	defer serving.Close()
	a.awaitStatus("the first token", func(got status) bool { return got.Held == nil && allServed(got) })
	if err := server.Check(s.delivered()); err != nil {
		t.Error(err)
	}
}
