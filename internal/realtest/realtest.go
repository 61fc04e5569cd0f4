// Package realtest finds or starts the real servers that tests run against:
// servers that this project didn't write.
//
// An address in the environment wins. Else testcontainers-go starts a
// container. Else the test skips and says what it missed, and with
// HANDOVER_TEST_REAL=1 it fails. The first line of such a test's log names the
// server and its version.
//
// A server from the environment may be shared and may hold other tests'
// leftovers: every name made here is new.
package realtest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"
)

// startTimeout bounds the start of one server, the download of its image
// included.
const startTimeout = 2 * time.Minute

// required is the variable that turns a skip into a failure.
const required = "HANDOVER_TEST_REAL"

// T is what a test brings along; testing.TB has all of it. A program that is no
// test may bring its own: Fatalf and Skipf don't return, and Cleanup's
// functions are called at the end, the last one first.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(f func())
	TempDir() string
}

// Name is a new name that no other test uses, safe in paths and mounts.
func Name(tb T) string {
	tb.Helper()
	return "ht-" + random(tb, 6)
}

// random is n random bytes in hexadecimal.
func random(tb T, n int) string {
	tb.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		tb.Fatalf("random name: %v", err)
	}
	return hex.EncodeToString(b)
}

// missing ends a test that has no server: as a failure where real servers are
// required.
func missing(tb T, format string, args ...any) {
	tb.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv(required) == "1" {
		tb.Fatalf("%s=1, but %s", required, text)
	}
	tb.Skipf("not run: %s", text)
}
