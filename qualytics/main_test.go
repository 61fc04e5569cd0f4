package qualytics

import (
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind: a connection that a client didn't
// give back would be one.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
