package realtest

import (
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	vaultAddr  = "HANDOVER_TEST_VAULT_ADDR"
	vaultToken = "HANDOVER_TEST_VAULT_TOKEN"
	vaultImage = "HANDOVER_TEST_VAULT_IMAGE"
	// vaultBin names a vault or bao program, from which OwnVault starts a
	// server that a test may seal.
	vaultBin = "HANDOVER_TEST_VAULT_BIN"

	vaultPinned = "hashicorp/vault:1.21"
)

// VaultServer is a running server with Vault's API.
type VaultServer struct {
	// Addr is its URL.
	Addr string
	// Token is allowed everything.
	Token string
	// CA is a PEM file with the server's certificate; "" with plain http.
	CA string
	// Version is what sys/health says.
	Version string

	client *http.Client
}

// Client asks the server as a reader of it may: it trusts its certificate.
func (v *VaultServer) Client() *http.Client { return v.client }

// Vault returns an unsealed server, shared with other tests perhaps.
func Vault(tb T) *VaultServer {
	tb.Helper()
	v := &VaultServer{Addr: os.Getenv(vaultAddr), Token: os.Getenv(vaultToken), client: http.DefaultClient}
	if v.Addr == "" {
		v.Token = random(tb, 16)
		address, err := image{
			name:  imageName(vaultImage, vaultPinned),
			cmd:   []string{"server", "-dev", "-dev-root-token-id=" + v.Token, "-dev-listen-address=0.0.0.0:8200"},
			port:  "8200/tcp",
			ready: wait.ForHTTP("/v1/sys/health").WithPort("8200/tcp"),
		}.start(tb)
		if err != nil {
			missing(tb, "%s is not set and no container could be started: %v", vaultAddr, err)
		}
		v.Addr = "http://" + address
	}
	v.Addr = strings.TrimRight(v.Addr, "/")
	v.introduce(tb)
	return v
}

// introduce asks for the version and logs it.
func (v *VaultServer) introduce(tb T) {
	tb.Helper()
	status, body := v.try(tb, http.MethodGet, "sys/health?standbyok=true&sealedcode=200&uninitcode=200", nil)
	if status != http.StatusOK {
		tb.Fatalf("server at %s: sys/health answers %d", v.Addr, status)
	}
	v.Version, _ = body["version"].(string)
	tb.Logf("Vault API at %s, version %s", v.Addr, v.Version)
}

// MountKV mounts a new KV engine of version 1 or 2 for this test and returns
// its path. A new mount of version 2 refuses everything with 400 for a moment;
// it is asked until it doesn't.
func (v *VaultServer) MountKV(tb T, version string) string {
	tb.Helper()
	name := v.mount(tb, "sys/mounts/", map[string]any{"type": "kv", "options": map[string]any{"version": version}})
	if version != "2" {
		return name
	}
	for range 1000 {
		if status, _ := v.try(tb, http.MethodGet, name+"/config", nil); status != http.StatusBadRequest {
			return name
		}
	}
	tb.Fatalf("mount %s: it refuses everything still, after a thousand questions", name)
	return ""
}

// MountAppRole enables AppRole for this test and returns its path under auth/.
func (v *VaultServer) MountAppRole(tb T) string {
	tb.Helper()
	return v.MountAuth(tb, "approle")
}

// MountAuth enables a login method for this test and returns its path under
// auth/.
func (v *VaultServer) MountAuth(tb T, method string) string {
	tb.Helper()
	return v.mount(tb, "sys/auth/", map[string]any{"type": method})
}

func (v *VaultServer) mount(tb T, where string, what map[string]any) string {
	tb.Helper()
	name := Name(tb)
	v.Do(tb, http.MethodPost, where+name, what)
	tb.Cleanup(func() { v.try(tb, http.MethodDelete, where+name, nil) })
	return name
}

// Policy writes a policy for this test and returns its name.
func (v *VaultServer) Policy(tb T, rules string) string {
	tb.Helper()
	name := Name(tb)
	v.Do(tb, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
	tb.Cleanup(func() { v.try(tb, http.MethodDelete, "sys/policies/acl/"+name, nil) })
	return name
}

// NewToken makes a token with these policies; ttl is Vault's form, "1h".
func (v *VaultServer) NewToken(tb T, ttl string, policies ...string) string {
	tb.Helper()
	auth, _ := v.Do(tb, http.MethodPost, "auth/token/create",
		map[string]any{"policies": policies, "ttl": ttl, "no_parent": true})["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		tb.Fatalf("create token: the answer holds none")
	}
	tb.Cleanup(func() { v.try(tb, http.MethodPost, "auth/token/revoke", map[string]any{"token": token}) })
	return token
}

// NewRole makes a role on an AppRole mount and returns its role id and a secret
// id.
func (v *VaultServer) NewRole(tb T, mount string, settings map[string]any) (roleID, secretID string) {
	tb.Helper()
	return v.NewRoleIn(tb, "", mount, settings)
}

// NewRoleIn is NewRole in a namespace; "" is none.
func (v *VaultServer) NewRoleIn(tb T, namespace, mount string, settings map[string]any) (roleID, secretID string) {
	tb.Helper()
	role := path.Join(namespace, "auth", mount, "role", Name(tb))
	v.Do(tb, http.MethodPost, role, settings)
	id, _ := v.Do(tb, http.MethodGet, role+"/role-id", nil)["data"].(map[string]any)
	roleID, _ = id["role_id"].(string)
	made, _ := v.Do(tb, http.MethodPost, role+"/secret-id", map[string]any{})["data"].(map[string]any)
	secretID, _ = made["secret_id"].(string)
	if roleID == "" || secretID == "" {
		tb.Fatalf("create role: the answers hold no ids")
	}
	return roleID, secretID
}
