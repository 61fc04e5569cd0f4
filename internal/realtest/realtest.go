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
	"testing"
	"time"
)

// startTimeout bounds the start of one server, the download of its image
// included.
const startTimeout = 2 * time.Minute

// required is the variable that turns a skip into a failure.
const required = "HANDOVER_TEST_REAL"

// Name is a new name that no other test uses, safe in paths and mounts.
func Name(tb testing.TB) string {
	tb.Helper()
	return "ht-" + random(tb, 6)
}

// random is n random bytes in hexadecimal.
func random(tb testing.TB, n int) string {
	tb.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		tb.Fatalf("random name: %v", err)
	}
	return hex.EncodeToString(b)
}

// missing ends a test that has no server: as a failure where real servers are
// required.
func missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv(required) == "1" {
		tb.Fatalf("%s=1, but %s", required, text)
	}
	tb.Skipf("not run: %s", text)
}
