package realtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// OwnVault is a server of this test alone: not in development mode, with TLS,
// its storage in memory. It may be sealed.
type OwnVault struct {
	VaultServer
	key string // the one unseal key
}

// NewOwnVault starts a server from the program that HANDOVER_TEST_VAULT_BIN
// names, else as a container; it is initialised and unsealed.
func NewOwnVault(tb testing.TB) *OwnVault {
	tb.Helper()
	cert := newCertificate(tb)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert.pem)
	v := &OwnVault{VaultServer: VaultServer{
		CA: cert.certFile,
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		}},
	}}
	if bin := os.Getenv(vaultBin); bin != "" {
		v.startProgram(tb, bin, cert)
	} else {
		v.startContainer(tb, cert)
	}
	v.introduce(tb)
	made := v.Do(tb, http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	keys, _ := made["keys_base64"].([]any)
	v.Token, _ = made["root_token"].(string)
	if len(keys) != 1 || v.Token == "" {
		tb.Fatal("sys/init: the answer holds no key or token")
	}
	v.key, _ = keys[0].(string)
	v.Unseal(tb)
	return v
}

// Seal makes the server refuse everything until Unseal.
func (v *OwnVault) Seal(tb testing.TB) {
	tb.Helper()
	v.Do(tb, http.MethodPut, "sys/seal", nil)
}

// Unseal opens the server, and waits until it is active.
func (v *OwnVault) Unseal(tb testing.TB) {
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

// configuration is what the server reads at its start.
func configuration(address, certFile, keyFile string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"disable_mlock": true,
		"storage":       map[string]any{"inmem": map[string]any{}},
		"listener": map[string]any{"tcp": map[string]any{
			"address":       address,
			"tls_cert_file": certFile,
			"tls_key_file":  keyFile,
		}},
	})
}

// startProgram tries a few ports, for another process may take one first.
func (v *OwnVault) startProgram(tb testing.TB, bin string, cert certificate) {
	tb.Helper()
	var err error
	for range 3 {
		if err = v.runProgram(tb, bin, cert); err == nil {
			return
		}
	}
	tb.Fatalf("start %s: %v", bin, err)
}

func (v *OwnVault) runProgram(tb testing.TB, bin string, cert certificate) error {
	tb.Helper()
	ctx := context.Background() // the server outlives the test's own, for its cleanups
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	config, err := configuration(address, cert.certFile, cert.keyFile)
	if err != nil {
		return err
	}
	file := filepath.Join(tb.TempDir(), "vault.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, "server", "-config="+file)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	v.Addr = "https://" + address
	if err := v.await(http.StatusNotImplemented, exited); err != nil { // 501: not initialised yet
		_ = cmd.Process.Kill()
		<-exited
		return fmt.Errorf("%w\n%s", err, output.String())
	}
	return nil
}

func (v *OwnVault) startContainer(tb testing.TB, cert certificate) {
	tb.Helper()
	const dir = "/handover/"
	config, err := configuration("0.0.0.0:8200", dir+"cert.pem", dir+"key.pem")
	if err != nil {
		tb.Fatalf("configure: %v", err)
	}
	file := func(name string, content []byte) testcontainers.ContainerFile {
		return testcontainers.ContainerFile{Reader: bytes.NewReader(content), ContainerFilePath: dir + name, FileMode: 0o644}
	}
	address, err := image{
		name:  imageName(vaultImage, vaultPinned),
		cmd:   []string{"server", "-config=" + dir + "vault.json"},
		port:  "8200/tcp",
		ready: wait.ForListeningPort("8200/tcp").SkipInternalCheck(),
		files: []testcontainers.ContainerFile{file("vault.json", config), file("cert.pem", cert.pem), file("key.pem", cert.key)},
	}.start(tb)
	if err != nil {
		missing(tb, "%s is not set and no container could be started: %v", vaultBin, err)
	}
	v.Addr = "https://" + address
	if err := v.await(http.StatusNotImplemented, nil); err != nil {
		tb.Fatalf("start container: %v", err)
	}
}
