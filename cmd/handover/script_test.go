package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/handover-agent/handover/qualytics/sim"
)

var update = flag.Bool("update", false, "write what is compared instead of comparing it")

// TestMain lets the scripts run this test binary as handover.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"handover": func() { os.Exit(process()) }})
}

// TestScripts runs testdata/script. Each script has a simulated Qualytics of its
// own at $SIM_URL and, with a certificate that no system trusts, at $TLS_URL;
// an administrator's token for it in admin.token; and testdata/agent.yaml as
// agent.yaml, unless it brings its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Deadline: time.Now().Add(5 * time.Minute), RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update,
		Setup:     setup,
		Condition: func(name string) (bool, error) { return name == "root" && os.Getuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "await": await, "signal": signalAll, "fault": fault, "nofaults": noFaults,
			"live": live, "byhand": makeByHand, "newer": newer, "nosecrets": noSecrets, "sql": edit,
		},
	})
}

// instance is the Qualytics of one script.
type instance struct {
	*sim.Server
	// refusing: every credential is refused, and the caller asked to come
	// back in ten minutes, so that no run tries again.
	refusing atomic.Bool
}

type instanceKey struct{}

func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.refusing.Load() {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	i.Server.ServeHTTP(w, r)
}

func setup(env *testscript.Env) error {
	simulated, err := sim.New(sim.Options{})
	if err != nil {
		return err
	}
	server := &instance{Server: simulated}
	plain, secure := httptest.NewServer(server), httptest.NewUnstartedServer(server)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // refused handshakes
	secure.StartTLS()
	env.Defer(func() {
		plain.Close()
		secure.Close()
		if err := server.Close(); err != nil {
			env.T().Log(err)
		}
	})
	token, err := server.AdminToken("Handover Admin")
	if err != nil {
		return err
	}
	base, err := os.ReadFile("testdata/agent.yaml")
	if err != nil {
		return err
	}
	broken, err := filepath.Abs("../../agent/config/testdata")
	if err != nil {
		return err
	}
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	env.Values[instanceKey{}] = server
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector sleeps a second at each exit
	env.Setenv("SIM_URL", plain.URL)
	env.Setenv("TLS_URL", secure.URL)
	env.Setenv("LISTEN", listen)
	env.Setenv("BROKEN", broken)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	for name, text := range map[string][]byte{"admin.token": []byte(token.Reveal()), "agent.yaml": base, "ca.pem": authority} {
		path := filepath.Join(env.WorkDir, name)
		if _, err := os.Stat(path); err == nil {
			continue // the script's own
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// freeAddress is one that nobody listened at a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func simulator(ts *testscript.TestScript) *instance { return ts.Value(instanceKey{}).(*instance) }

// exits runs a program and checks its exit code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// await runs a program again and again, until its output on stdout or stderr
// matches: await REGEXP PROGRAM ARGS...
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP PROGRAM ARGS...")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		_ = ts.Exec(args[1], args[2:]...) // what it says decides
		if want.MatchString(ts.ReadFile("stdout")) || want.MatchString(ts.ReadFile("stderr")) {
			return
		}
		if !pause(ctx, 20*time.Millisecond) {
			ts.Fatalf("never matched %s", want)
		}
	}
}

// signalAll signals every program in the background: signal HUP|TERM|INT
func signalAll(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}

// fault makes the simulator misbehave until nofaults: fault METHOD PATH
// STATUS|html|throttle, or fault refuse
func fault(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "refuse" {
		simulator(ts).refusing.Store(true)
		return
	}
	effect := sim.NotJSON()
	switch args[2] {
	case "html":
	case "throttle":
		effect = sim.Throttle(5 * time.Minute)
	default:
		status, err := strconv.Atoi(args[2])
		ts.Check(err)
		effect = sim.Answer(status, fmt.Sprintf(`{"detail": %q}`, http.StatusText(status)))
	}
	simulator(ts).Inject(sim.Fault{Method: args[0], Path: args[1], Times: -1, Effect: effect})
}

func noFaults(ts *testscript.TestScript, _ bool, _ []string) {
	simulator(ts).ClearFaults()
	simulator(ts).refusing.Store(false)
}

// live checks how many tokens of an account work: live ACCOUNT COUNT
func live(ts *testscript.TestScript, _ bool, args []string) {
	if got := len(simulator(ts).LiveTokens(args[0])); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%d tokens of %s are live, want %s", got, args[0], args[1])
	}
}

// makeByHand makes a token as a person would: byhand ACCOUNT LABEL
func makeByHand(ts *testscript.TestScript, _ bool, args []string) {
	_, _, err := simulator(ts).CreateToken(args[0], args[1], 0)
	ts.Check(err)
}

// newer makes a journal look as if a later release had written it: newer FILE
func newer(ts *testscript.TestScript, _ bool, args []string) {
	inJournal(ts, args[0], "INSERT INTO schema_version (version, applied_at) VALUES (99, '2026-11-05T00:00:00Z')")
}

// edit writes into a journal by hand, also beside a running agent: sql FILE
// STATEMENTS
func edit(ts *testscript.TestScript, _ bool, args []string) {
	inJournal(ts, args[0], ts.ReadFile(args[1]))
}

func inJournal(ts *testscript.TestScript, file, statements string) {
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(file)+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	_, err = db.Exec(statements)
	ts.Check(errors.Join(err, db.Close()))
}

// noSecrets searches files for the administrator's token and for any other JWT:
// nosecrets FILE...
func noSecrets(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		if at := bytes.Index([]byte(ts.ReadFile(name)), []byte("eyJ")); at >= 0 {
			ts.Fatalf("%s holds a token at byte %d", name, at)
		}
	}
}
