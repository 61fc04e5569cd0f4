package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask calls the simulator once, with the token in a file.
func ask(t *testing.T, base, path, tokenFile string) (status int, date time.Time) {
	t.Helper()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	date, err = http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, date
}

// simulate serves the simulator in this process; stop ends it.
func simulate(t *testing.T, args ...string) (base string, stop func() int) {
	t.Helper()
	out := awaiting("\n")
	p := start(t, out, io.Discard, append([]string{"sim", "--listen", "127.0.0.1:0"}, args...)...)
	p.await(t, out)
	base = strings.TrimSpace(out.String())
	if !strings.HasPrefix(base, "http://127.0.0.1:") {
		t.Fatalf("stdout is %q, the base URL alone was expected", out)
	}
	return base, p.stop
}

func TestSimServesAndKeeps(t *testing.T) {
	dir := t.TempDir()
	token, kept := filepath.Join(dir, "new", "admin.token"), filepath.Join(dir, "sim.json")
	base, stop := simulate(t, "--state", kept, "--admin-token-file", token)
	if info, err := os.Stat(token); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	status, date := ask(t, base, "/api/users/me", token)
	if status != http.StatusOK {
		t.Errorf("with the token it answers %d", status)
	}
	if off := time.Until(date).Abs(); off > time.Minute {
		t.Errorf("its clock is off by %s, a day is to take a day", off)
	}
	before, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(base, "http://")); err == nil {
		t.Error("it answers after its end")
	}

	base, stop = simulate(t, "--state", kept, "--admin-token-file", token)
	after, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("with a kept state, the token is another one")
	}
	if status, _ := ask(t, base, "/api/users/me", token); status != http.StatusOK {
		t.Errorf("the second one answers %d", status)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

func TestSimScalesItsClock(t *testing.T) {
	token := filepath.Join(t.TempDir(), "admin.token")
	base, stop := simulate(t, "--admin-token-file", token, "--day", "1s")
	_, first := ask(t, base, "/api/health", token)
	began := time.Now()
	for { // two days take two seconds
		_, date := ask(t, base, "/api/health", token)
		if date.Sub(first) > 48*time.Hour {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("in a minute its clock moved by %s", date.Sub(first))
		}
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("two days took %s, two seconds were asked for", took)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

// A simulator that can't serve leaves the token and the state of another one
// alone.
func TestSimRefusesWhatIsTaken(t *testing.T) {
	dir := t.TempDir()
	token, kept := filepath.Join(dir, "admin.token"), filepath.Join(dir, "sim.json")
	base, stop := simulate(t, "--state", kept, "--admin-token-file", token)
	for name, args := range map[string][]string{
		"its address": {"--listen", strings.TrimPrefix(base, "http://")},
		"its state":   {"--listen", "127.0.0.1:0", "--state", kept},
	} {
		var out, errs stream
		p := start(t, &out, &errs, append([]string{"sim", "--admin-token-file", token}, args...)...)
		if code := <-p.ended; code != exitFailed || out.String() != "" {
			t.Errorf("%s is taken: exit %d, stdout %q, stderr %q", name, code, out.String(), errs.String())
		}
	}
	if status, _ := ask(t, base, "/api/users/me", token); status != http.StatusOK {
		t.Errorf("after that, the first one answers %d to the token in the file", status)
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

func TestSimRefusesADayOfNothing(t *testing.T) {
	var out, errs stream
	p := start(t, &out, &errs, "sim", "--listen", "127.0.0.1:0", "--day", "0s",
		"--admin-token-file", filepath.Join(t.TempDir(), "admin.token"))
	if code := <-p.ended; code != exitUsage {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
