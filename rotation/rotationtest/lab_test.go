package rotationtest_test

import (
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

func twoStores() []rotationtest.LabStore {
	return []rotationtest.LabStore{
		{Options: mem.LikeVault(), Format: payload.Spec{Format: "json"}},
		{Options: mem.LikeFile(), Format: payload.Spec{Format: "token"}},
	}
}

func TestNinetyQuietDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := rotationtest.NewLab(t, nil, twoStores()...)
		l.Run(90 * rotation.Day)
		l.Settled()
		t.Log(l.Script.Count(), l.Script.Names())
		for _, e := range l.Events {
			t.Log(e.At.Format("01-02 15:04:05"), e.Act, e.Reason, e.Generation, e.Target, e.Detail)
		}
		if broken := l.Broken(); broken != "" {
			t.Fatal(broken)
		}
	})
}
