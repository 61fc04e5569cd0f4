package agent

import (
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind: whatever the agent starts it waits for.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
