package realtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// program is a vault or bao program that is run with one configuration.
type program struct {
	bin, config string
	cmd         *exec.Cmd
	output      *bytes.Buffer // of the last start; to be read when it has ended
	exited      chan struct{}
}

func (p *program) start() error {
	p.output, p.exited = &bytes.Buffer{}, make(chan struct{})
	// The server outlives the test's own context, for its cleanups.
	p.cmd = exec.CommandContext(context.Background(), p.bin, "server", "-config="+p.config)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(p.cmd, p.exited)
	return nil
}

// kill ends the program and waits for its end; one that has ended is left alone.
func (p *program) kill() {
	if p.exited == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// configuration is what the server reads at its start. Its storage is in dir,
// or in memory without one.
func configuration(address, dir, certFile, keyFile string) ([]byte, error) {
	listener := map[string]any{"address": address, "tls_cert_file": certFile, "tls_key_file": keyFile}
	settings := map[string]any{
		"disable_mlock": true,
		"storage":       map[string]any{"inmem": map[string]any{}},
		"listener":      map[string]any{"tcp": listener},
	}
	if dir != "" {
		settings["storage"] = map[string]any{"raft": map[string]any{"path": dir, "node_id": "one", "performance_multiplier": "1"}}
		settings["api_addr"] = "https://" + address
		settings["cluster_addr"] = "https://127.0.0.1:0" // this one server has nobody to speak to there
		listener["cluster_address"] = "127.0.0.1:0"
	}
	return json.Marshal(settings)
}

// startProgram tries a few ports, for another process may take one first.
func (v *OwnVault) startProgram(tb T, bin string, cert certificate) {
	tb.Helper()
	var err error
	for range 3 {
		var address string
		if address, err = vacant("127.0.0.1:0"); err != nil {
			continue
		}
		if err = v.runProgram(tb, bin, address, "", cert); err == nil {
			return
		}
	}
	tb.Fatalf("start %s: %v", bin, err)
}

// startLasting starts a server at an address that stays free while it is down.
func (v *OwnVault) startLasting(tb T, bin string, cert certificate) {
	tb.Helper()
	if err := v.runProgram(tb, bin, LastingAddress(tb), tb.TempDir(), cert); err != nil {
		tb.Fatalf("start %s: %v", bin, err)
	}
}

func (v *OwnVault) runProgram(tb T, bin, address, dir string, cert certificate) error {
	tb.Helper()
	config, err := configuration(address, dir, cert.certFile, cert.keyFile)
	if err != nil {
		return err
	}
	p := &program{bin: bin, config: filepath.Join(tb.TempDir(), "vault.json")}
	if err := os.WriteFile(p.config, config, 0o600); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	tb.Cleanup(p.kill)
	v.Addr, v.program = "https://"+address, p
	if err := v.await(http.StatusNotImplemented, p.exited); err != nil { // 501: not initialised yet
		p.kill()
		return fmt.Errorf("%w\n%s", err, p.output)
	}
	return nil
}

// LastingAddress is an address on loopback where nobody listens now, and that
// the system doesn't hand out by itself: who listens there may end, and will
// find it free again.
func LastingAddress(tb T) string {
	tb.Helper()
	for range 100 {
		// Linux gives out 32768 and up.
		address, err := vacant(fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err == nil {
			return address
		}
	}
	tb.Fatalf("none of a hundred ports is free")
	return ""
}

// vacant returns the address if nobody listens there; a port 0 becomes a free
// one.
func vacant(address string) (string, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (v *OwnVault) startContainer(tb T, cert certificate) {
	tb.Helper()
	const dir = "/handover/"
	config, err := configuration("0.0.0.0:8200", "", dir+"cert.pem", dir+"key.pem")
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
