package realtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// OwnVault is a server of this test alone: not in development mode, with TLS.
// It may be sealed.
type OwnVault struct {
	VaultServer
	key     string   // the one unseal key
	program *program // nil for a container
}

// NewOwnVault starts a server from the program that HANDOVER_TEST_VAULT_BIN
// names, else as a container; it is initialised and unsealed. Its storage is in
// memory.
func NewOwnVault(tb T) *OwnVault {
	tb.Helper()
	cert := newCertificate(tb)
	v := newOwnVault(cert)
	if bin := os.Getenv(vaultBin); bin != "" {
		v.startProgram(tb, bin, cert)
	} else {
		v.startContainer(tb, cert)
	}
	v.initialise(tb)
	return v
}

// NewLastingVault starts a server whose storage is on the disk, from the
// program that HANDOVER_TEST_VAULT_BIN names: it may be killed and started
// again. It is initialised and unsealed.
func NewLastingVault(tb T) *OwnVault {
	tb.Helper()
	bin := os.Getenv(vaultBin)
	if bin == "" {
		missing(tb, "%s doesn't name a vault or bao program, and a container can't be killed and started again here", vaultBin)
	}
	cert := newCertificate(tb)
	v := newOwnVault(cert)
	v.startLasting(tb, bin, cert)
	v.initialise(tb)
	return v
}

func newOwnVault(cert certificate) *OwnVault {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert.pem)
	return &OwnVault{VaultServer: VaultServer{
		CA: cert.certFile,
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		}},
	}}
}

// Kill ends a lasting server as the machine's end would.
func (v *OwnVault) Kill() { v.program.kill() }

// Restart starts a lasting server again, at its address and with what it held.
// It is sealed.
func (v *OwnVault) Restart(tb T) {
	tb.Helper()
	if err := v.program.start(); err != nil {
		tb.Fatalf("start the server again: %v", err)
	}
	if err := v.await(http.StatusServiceUnavailable, v.program.exited); err != nil {
		v.program.kill() // then its output may be read
		tb.Fatalf("start the server again: %v\n%s", err, v.program.output)
	}
}

// initialise makes a fresh server ready for use.
func (v *OwnVault) initialise(tb T) {
	tb.Helper()
	v.introduce(tb)
	made := v.Do(tb, http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	keys, _ := made["keys_base64"].([]any)
	v.Token, _ = made["root_token"].(string)
	if len(keys) != 1 || v.Token == "" {
		tb.Fatalf("sys/init: the answer holds no key or token")
	}
	v.key, _ = keys[0].(string)
	v.Unseal(tb)
}

// Seal makes the server refuse everything until Unseal.
func (v *OwnVault) Seal(tb T) {
	tb.Helper()
	v.Do(tb, http.MethodPut, "sys/seal", nil)
}

// Unseal opens the server, and waits until it is active.
func (v *OwnVault) Unseal(tb T) {
	tb.Helper()
	v.Do(tb, http.MethodPut, "sys/unseal", map[string]any{"key": v.key})
	if err := v.await(http.StatusOK, nil); err != nil {
		tb.Fatalf("unseal: %v", err)
	}
}

// await polls sys/health until it answers with status. It gives up when exited
// is closed.
func (v *OwnVault) await(status int, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, _, err := v.ask(ctx, http.MethodGet, "sys/health", nil)
		if err == nil && got == status {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("sys/health last answered %d: %w", got, ctx.Err())
		}
	}
}
