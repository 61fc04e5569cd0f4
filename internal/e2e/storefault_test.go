package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
)

// reachable is a network before a server, which can be cut.
type reachable struct {
	next http.Handler
	cut  atomic.Bool
}

func (r *reachable) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.cut.Load() {
		r.next.ServeHTTP(w, req)
		return
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// storeFaults declares one slot for each fault, with a target in the store
// that fails and one in a file, and a slot of files alone.
const storeFaults = `
backends:
  sealed:  {type: vault, address: "%[1]s", mount: %[2]s, ca_file: "%[3]s", timeout: 2s, auth: {method: token, token: {file: sealed.token}}}
  denied:  {type: vault, address: "%[4]s", mount: %[5]s, timeout: 2s, auth: {method: token, token: {file: denied.token}}}
  missing: {type: vault, address: "%[4]s", mount: %[6]s, timeout: 2s, auth: {method: token, token: {file: root.token}}}
  old:     {type: vault, address: "%[4]s", mount: %[7]s, kv_version: 2, timeout: 2s, auth: {method: token, token: {file: root.token}}}
  away:    {type: vault, address: "%[8]s", mount: %[5]s, timeout: 2s, auth: {method: token, token: {file: root.token}}}
  local:   {type: file, dir: delivered}
accounts:
  - name: Store Faults
    role: Member
    owner: tests@acme.example
    purpose: Shows what a broken store does to its own slot and to others
    tokens:
      - {name: sealed,  deliver: [{backend: sealed,  path: a, format: token}, {backend: local, path: sealed,  format: token}]}
      - {name: denied,  deliver: [{backend: denied,  path: a, format: token}, {backend: local, path: denied,  format: token}]}
      - {name: missing, deliver: [{backend: missing, path: a, format: token}, {backend: local, path: missing, format: token}]}
      - {name: old,     deliver: [{backend: old,     path: a, format: token}, {backend: local, path: old,     format: token}]}
      - {name: away,    deliver: [{backend: away,    path: b, format: token}, {backend: local, path: away,    format: token}]}
      - {name: healthy, deliver: [{backend: local, path: healthy, format: token}]}
`

const storeAccount = "store_faults@service"

// faultyStores are two servers with everything that can be broken.
type faultyStores struct {
	own           *realtest.OwnVault
	shared        *realtest.VaultServer
	policy        string        // of the denied mount
	sealed, deny  outside.Store // the readers' access
	missing, old  string        // mounts
	deniedAllowed string        // the rules of policy while nothing is wrong
	network       *reachable
	away          string // the address beyond the network
}

func newFaultyStores(t *testing.T, s *site) faultyStores {
	t.Helper()
	f := faultyStores{own: realtest.NewOwnVault(t), shared: realtest.Vault(t), missing: realtest.Name(t)}
	sealed, denied := f.own.MountKV(t, "2"), f.shared.MountKV(t, "2")
	f.old = f.shared.MountKV(t, "1")
	f.deniedAllowed = outside.AgentRules(denied)
	f.policy = f.shared.Policy(t, f.deniedAllowed)
	s.secret("sealed.token", f.own.NewToken(t, "1h", f.own.Policy(t, outside.AgentRules(sealed))))
	s.secret("denied.token", f.shared.NewToken(t, "1h", f.policy))
	s.secret("root.token", f.shared.Token)
	target, err := url.Parse(f.shared.Addr)
	if err != nil {
		t.Fatal(err)
	}
	f.network = &reachable{next: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: silent}}
	server := httptest.NewServer(f.network)
	t.Cleanup(server.Close)
	f.away = server.URL
	f.sealed, f.deny = outside.ReaderStore(t, &f.own.VaultServer, sealed), outside.ReaderStore(t, f.shared, denied)
	return f
}

func (f faultyStores) declaration() string {
	return fmt.Sprintf(storeFaults, f.own.Addr, f.sealed.Mount, f.own.CA, f.shared.Addr, f.deny.Mount, f.missing, f.old, f.away)
}

// setPolicy changes what the agent may do in the denied mount.
func (f faultyStores) setPolicy(t *testing.T, rules string) {
	t.Helper()
	f.shared.Do(t, http.MethodPut, "sys/policies/acl/"+f.policy, map[string]any{"policy": rules})
}

// mend puts everything right.
func (f faultyStores) mend(t *testing.T) {
	t.Helper()
	f.own.Unseal(t)
	f.network.cut.Store(false)
	f.setPolicy(t, f.deniedAllowed)
	f.shared.Do(t, http.MethodPost, "sys/mounts/"+f.missing, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	t.Cleanup(func() { f.shared.Try(t, http.MethodDelete, "sys/mounts/"+f.missing, nil) })
	f.shared.Do(t, http.MethodPost, "sys/mounts/"+f.old+"/tune", map[string]any{"options": map[string]any{"version": "2"}})
}

// TestStoreFaults: a store that is sealed, denied, out of reach, missing or of
// another version than declared makes its own target wait and say why. Its slot
// revokes nothing that may still be served there, other slots go on, and it
// clears by itself.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	program(t)
	s := newSite(t)
	f := newFaultyStores(t, s)
	server, q := s.serveSim()
	s.declare(q.Base, outside.Quick, f.declaration())
	local := func(name string) outside.Consumer { return s.fromFile("delivered/"+name, storeAccount, outside.Whole) }
	a := s.start()
	a.awaitStatus("tokens in the stores that work", func(got status) bool {
		return got.served("sealed", 0) && got.served("denied", 0) && got.served("away", 0) && got.served("healthy", 0) && got.served("missing", 1) && got.served("old", 1)
	})
	// Two of the stores answer their consumers all the time, and not the agent.
	inDenied, inAway := f.deny.Consumer("a", storeAccount, outside.Field("value")), f.deny.Consumer("b", storeAccount, outside.Field("value"))
	reading := startReaders(t, q, inDenied, inAway, local("sealed"), local("denied"), local("missing"), local("old"), local("away"), local("healthy"))

	f.own.Seal(t)
	f.network.cut.Store(true)
	f.setPolicy(t, strings.ReplaceAll(f.deniedAllowed, `"create", "update", `, ""))
	kept, err := inDenied.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := a.awaitStatus("the state before", func(status) bool { return true })
	a.awaitStatus("four rotations of the healthy slot", func(got status) bool {
		return got.store("healthy").Generation >= before.store("healthy").Generation+4
	})
	saysWhy := func(got status) bool {
		return got.waits("sealed", "target_unreachable") && got.waits("denied", "target_denied") &&
			got.waits("away", "target_unreachable") && got.waits("missing", "target_unreachable") && got.waits("old", "target_unreachable")
	}
	a.awaitStatus("each target to say why it waits", func(got status) bool { return saysWhy(got) && saysWhy(s.statusCommand()) })
	for _, pattern := range []string{`sealed/a.*[Ss]ealed`, `denied/a.*(denied|lack)`, `away/b.*(EOF|reset|refused)`, `missing/a.*no such mount`, `old/a.*version 1`} {
		a.awaitLog(pattern)
	}
	if account, code, err := q.Whose(t.Context(), kept); account != storeAccount || err != nil {
		t.Errorf("the token in the denied store is answered with %d, %v", code, err)
	}
	for _, token := range server.Tokens() { // a denied store can be read: what never stood there may end
		if name, _, _ := strings.Cut(token.Label, "."); !token.Live() && slices.Contains([]string{"sealed", "away", "missing", "old"}, name) {
			t.Errorf("token %s is %s while a store that may serve it can't be read", token.Label, token.State)
		}
	}

	f.mend(t)
	mended := a.awaitStatus("the state at the repair", func(status) bool { return true })
	a.awaitStatus("every store served, and the old tokens retired", func(got status) bool {
		for _, name := range []string{"sealed", "denied", "away", "missing", "old", "healthy"} {
			one := got.store(name)
			if !got.served(name, 0) || one.Generation <= mended.store(name).Generation || len(one.Retired) > 2 {
				return false
			}
		}
		return true
	})
	reading.noneDead(t, 8, 50)
	s.noTraces("stderr of agent 1", "output of handover status")
}

func (s status) store(token string) slotStatus { return s.slot(storeAccount + "/" + token) }

// served reports whether a slot's targets, from the given one on, serve a token.
func (s status) served(token string, from int) bool {
	targets := s.store(token).Targets
	for _, t := range targets[min(from, len(targets)):] {
		if t.Generation == 0 {
			return false
		}
	}
	return len(targets) > from
}

// waits reports whether a slot's first target is behind, for this reason.
func (s status) waits(token, reason string) bool {
	targets := s.store(token).Targets
	return len(targets) > 0 && targets[0].State == "behind" && targets[0].Reason == reason
}
