package awssecrets

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/backendtest/wiretest"
)

// TestWire: faults on TCP's level before moto, made as strict as AWS.
func TestWire(t *testing.T) {
	s := onReal(t)
	as(t, keyOfAgent)
	wiretest.Run(t, wiretest.Harness{
		Store: s.url,
		Commits: func(r wiretest.Request) bool {
			switch r.Header.Get("X-Amz-Target") {
			case "secretsmanager.CreateSecret", "secretsmanager.UpdateSecretVersionStage":
				return true
			}
			return false
		},
		Open: func(t *testing.T, url, _ string, timeout time.Duration) backends.Backend {
			o := at(url)
			o.Timeout = timeout
			return openLogging(t, o, t.Output())
		},
		Ref: newRef,
	})
}
