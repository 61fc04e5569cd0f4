package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"testing"

	"github.com/handover-agent/handover/backends/azurekeyvault/vaulttest"
	"github.com/handover-agent/handover/internal/outside"
	"github.com/handover-agent/handover/internal/realtest"
	"github.com/handover-agent/handover/internal/toxic"
)

// everyStore declares two tokens for all four stores. Where the second is to
// go, something else stands already.
const everyStore = `
backends:
  vault: %s
  aws:   {type: aws-secrets-manager, region: %s, endpoint: "http://%s", recover: true}
  azure: {type: azure-key-vault, url: "https://%s", ca_file: "%s", emulator: true, auth: {method: managed-identity}, recover: true}
  local: {type: file, dir: door/delivered}
accounts:
  - name: Every Store
    role: Editor
    owner: tests@acme.example
    purpose: Is delivered to all stores at once
    tokens:
      - name: shared
        deliver:
          - {backend: vault, path: "%[6]s",  format: airflow-connection}
          - {backend: aws,   path: "%[6]s",  format: airflow-connection}
          - {backend: azure, path: "%[6]s",  format: airflow-connection, style: uri}
          - {backend: local, path: "%[6]s.json", format: airflow-connection}
      - name: refused
        deliver:
          - {backend: vault, path: "%[7]s",  format: airflow-connection}
          - {backend: aws,   path: "%[7]s",  format: airflow-connection}
          - {backend: azure, path: "%[7]s",  format: airflow-connection}
          - {backend: local, path: "%[7]s.json", format: airflow-connection}
`

const (
	sharedSlot  = "every_store@service/shared"
	refusedSlot = "every_store@service/refused"
	// onRequest is a rotation that comes when it is asked for: AWS takes a new
	// version of one secret only so often.
	onRequest = "{lifetime: 2d, every: 1d, grace: 3s, hold: 0s, observe: 2s}"
)

// store is one of the four.
type store struct {
	*watcher
	refused string // the place where something else stands
	// away takes the store from the agent, not from its consumers; back ends
	// that.
	away func()
	back func() error
}

// stores are all four.
type stores struct {
	*site
	q   instance
	all []*store
}

// newStores starts or finds the stores, puts a wire before each, and a client
// behind.
func newStores(t *testing.T, s *site) *stores {
	t.Helper()
	python := realtest.NewPython(t, "boto3", "azure.identity", "azure.keyvault.secrets")
	vault, aws, azure := realtest.Vault(t), realtest.AWS(t), vaulttest.Start(t)
	access := outside.NewAccess(t, vault)
	s.secret("secret-id", access.SecretID)
	s.secrets.add("Vault's root token", vault.Token)
	env := s.logins(azure)
	s.env = append(env, "AWS_SESSION_TOKEN=", "AWS_PROFILE=") // not this machine's
	f := &stores{site: s}
	q, wire := s.startSim()
	f.q = q
	toVault, toAWS, toAzure := f.before(vault.Addr), f.before(aws.URL), f.before(azure.URL)
	shared, refused := "every-store-"+realtest.Name(t), "refused-"+realtest.Name(t)
	s.declare(wire, onRequest, fmt.Sprintf(everyStore, access.Options("http://"+toVault.Address(), ""),
		realtest.AWSRegion, toAWS.Address(), toAzure.Address(), azure.CAFile, shared, refused))

	add := func(name string, c client, suffix string, away func(), back func() error) {
		f.all = append(f.all, &store{
			watcher: &watcher{name: name, place: shared + suffix, account: "every_store@service", client: c, tokens: map[string]bool{}},
			refused: refused + suffix, away: away, back: back,
		})
	}
	wired := func(name string, c client, w *toxic.Wire) { add(name, c, "", w.Cut, w.Raise) }
	wired("vault", newVaultCommand(t, vault, access.Mount, q), toVault)
	wired("aws", s.startPython(python, env, "aws", realtest.AWSRegion, aws.URL, q.Base), toAWS)
	wired("azure", s.startPython(python, append(env, "REQUESTS_CA_BUNDLE="+azure.CAFile), "azure", azure.URL, q.Base), toAzure)
	f.closeDoor(false)
	add("local", &files{dir: s.path("house/delivered"), q: q, seen: map[string][]string{}}, ".json",
		func() { f.closeDoor(true) }, func() error { f.closeDoor(false); return nil })
	return f
}

// logins are the variables by which a program logs in at AWS and at Azure.
func (s *site) logins(azure *vaulttest.Server) []string {
	const key = "wJalrXUtnFEMI-K7MDENG-the-secret-of-the-test"
	s.secrets.add("the secret key of AWS", key)
	env := []string{"AWS_ACCESS_KEY_ID=AKIAAGENT00000000000", "AWS_SECRET_ACCESS_KEY=" + key, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}
	for name, value := range azure.Identity() {
		env = append(env, name+"="+value)
	}
	return slices.Clip(env)
}

// before puts a wire before a server.
func (f *stores) before(address string) *toxic.Wire {
	f.t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		f.t.Fatal(err)
	}
	w, err := toxic.New("127.0.0.1:0", at.Host)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(w.Cut)
	return w
}

// closeDoor makes the agent's way to the files a file, or a link to the house
// in which their readers are. At no instant there is none.
func (f *stores) closeDoor(closed bool) {
	f.t.Helper()
	house, next := f.path("house"), f.path("door.next")
	if closed {
		f.write("door.next", "closed")
	} else if err := errors.Join(os.MkdirAll(house, 0o700), os.Symlink(house, next)); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.path("door")); err != nil {
		f.t.Fatal(err)
	}
}

func (f *stores) watchers() watchers {
	var all watchers
	for _, one := range f.all {
		all = append(all, one.watcher)
	}
	return all
}

// rotate asks for a new token.
func (s *site) rotate(why string) {
	s.t.Helper()
	if r := s.run("rotate", sharedSlot, "--reason", why); r.code != 0 {
		s.t.Fatalf("handover rotate: exit %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestEveryStore: one account is delivered to Vault, AWS, Azure and files at
// once. The vendors' own clients find one working token in all of them, in ten
// rotations, with one store at a time out of the agent's reach. What others
// write over the agent's value, or take away, is put back; what they had put
// there before stays.
func TestEveryStore(t *testing.T) {
	t.Parallel()
	program(t)
	f := newStores(t, newSite(t))
	planted := map[string]sight{}
	for _, one := range f.all {
		if did := one.client.plant(one.refused); did.Found != works {
			t.Fatalf("%s: write a value: %+v", one.name, did)
		}
		planted[one.name] = one.client.peek(one.refused)
	}
	clients := f.watchers()
	end := clients.start(t)
	a := f.start()
	tokens := []string{clients.agree(t, "")}
	rotated := func(rotate func()) {
		t.Helper()
		rotate()
		tokens = append(tokens, clients.agree(t, tokens[len(tokens)-1]))
	}
	for _, one := range f.all {
		rotated(func() { f.rotate("every store is there") })
		rotated(func() { one.takenAway(t, a) })
		healed := func(after string) {
			t.Helper()
			if token := clients.agree(t, ""); token != tokens[len(tokens)-1] {
				t.Errorf("%s: %s, and another token was put there", one.name, after)
			}
		}
		one.meddle(t, one.client.rollBack)
		healed("an older value stood there")
		one.meddle(t, one.client.remove)
		healed("the value was taken away")
	}
	for len(tokens) < 11 {
		rotated(func() { f.rotate("ten in all") })
	}
	f.checkRefused(a, planted)
	a.awaitStatus("rest", func(got status) bool { return got.slot(sharedSlot).settled() })
	end()
	clients.judge(t, tokens)
	if mine := of(f.q.tokens(t), sharedSlot); len(mine) != 1 || !mine[0].Active {
		t.Errorf("at the end the API lists %+v", mine)
	}
	a.keepPages()
	if code := a.terminate(t, patience); code != 0 {
		t.Errorf("SIGTERM ended it with %d, want 0", code)
	}
	f.noTraces("stderr of agent 1", "stdout of the client of aws", "stdout of the client of azure", "output of handover rotate", "page /metrics")
}

// live is how many tokens of a slot live. While a store is away none can end,
// and with five there is no new one.
func (s slotStatus) live() int {
	n := 1
	for _, one := range s.Retired {
		if slices.Contains([]string{"waiting", "grace", "hold", "revoking"}, one.State) {
			n++
		}
	}
	return n
}

// takenAway has the agent rotate while it can't reach the store. The others get
// the new token, this one keeps its own, and says why it waits, until it is
// back.
func (s *store) takenAway(t *testing.T, a *agent) {
	t.Helper()
	before := a.awaitStatus("room for two tokens more", func(got status) bool {
		return got.slot(sharedSlot).live() <= 3
	}).slot(sharedSlot).Generation
	s.away()
	a.site.rotate(s.name + " is away")
	a.awaitStatus("the others to get the new token while "+s.name+" is away", func(got status) bool {
		for _, target := range got.slot(sharedSlot).Targets {
			away := target.Backend == s.name
			if away && (target.State != "behind" || target.Reason != "target_unreachable") || !away && target.Generation <= before {
				return false
			}
		}
		return got.slot(sharedSlot).Generation > before
	})
	if err := s.back(); err != nil {
		t.Fatal(err)
	}
}

// checkRefused looks that what stood at the second token's places stands there
// still, and that the agent says so.
func (f *stores) checkRefused(a *agent, planted map[string]sight) {
	f.t.Helper()
	a.awaitStatus("every place of the second token to be foreign", func(got status) bool {
		foreign := 0
		for _, target := range got.slot(refusedSlot).Targets {
			if target.State == "foreign" && target.Generation == 0 {
				foreign++
			}
		}
		return foreign == len(f.all)
	})
	for _, one := range f.all {
		if now := one.client.peek(one.refused); now != planted[one.name] || now.Found != works {
			f.t.Errorf("%s: where somebody else's value stood there is %+v, it was %+v", one.name, now, planted[one.name])
		}
	}
}
