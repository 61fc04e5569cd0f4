package doctor_test

import (
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// plain is the token and nothing else.
type plain struct{}

func (plain) Render(t backends.Token) (secret.Value, error) { return t.Value, nil }
func (plain) Extract(p secret.Value) (secret.Value, error)  { return p, nil }
func (plain) Lossy() bool                                   { return false }
