package follow

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/handover-agent/handover/agent/metrics"
	"github.com/handover-agent/handover/backends"
)

// State says how a file stands.
type State string

// The states of an entry.
const (
	// Waiting: the file holds nothing that a consumer could use.
	Waiting State = "waiting"
	// Behind: the file holds a good value, and the store's can't be copied now.
	Behind State = "behind"
	// InStep: the file holds what the store was last seen to hold.
	InStep State = "in_step"
)

// Reason is why an entry isn't in step. It is a label of a metric.
type Reason string

// The reasons.
const (
	Starting       Reason = "starting"
	Missing        Reason = "missing"
	Unreadable     Reason = "unreadable"
	Foreign        Reason = "foreign"
	StoreAway      Reason = "store_away"
	StoreDenied    Reason = "store_denied"
	StoreThrottled Reason = "store_throttled"
	StoreRefuses   Reason = "store_refuses"
	CannotRender   Reason = "cannot_render"
	FileForeign    Reason = "file_foreign"
	FileFailed     Reason = "file_failed"
)

// Status is the answer of /api/v1/status.
type Status struct {
	Version string        `json:"version"`
	Ready   bool          `json:"ready"`
	Entries []EntryStatus `json:"entries"`
}

// EntryStatus tells how one entry stands. It holds no secret.
type EntryStatus struct {
	From  string `json:"from"`
	To    string `json:"to"`
	State State  `json:"state"`
	// Reason and Error are set unless the entry is in step; Since is when
	// that began.
	Reason Reason     `json:"reason,omitempty"`
	Error  string     `json:"error,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
	// Generation and TokenID are the agent's and Qualytics' numbers of the
	// token in the file, where the store tells them.
	Generation uint64 `json:"generation,omitempty"`
	TokenID    int64  `json:"token_id,omitempty"`
	// ExpiresAt is the token's end; nil is never, or not known.
	ExpiresAt *time.Time `json:"expires_at"`
	// SeenAt is when the store last answered.
	SeenAt *time.Time `json:"seen_at"`
	// CopiedAt is when this process last wrote the file.
	CopiedAt *time.Time `json:"copied_at"`
	// HookError is why a hook has not succeeded since the last change.
	HookError string `json:"hook_error,omitempty"`
}

// Status tells how the entries stand, in their order.
func (f *Follower) Status() Status {
	s := Status{Version: f.version, Ready: f.Ready() == nil, Entries: make([]EntryStatus, 0, len(f.entries))}
	for _, e := range f.entries {
		s.Entries = append(s.Entries, e.now())
	}
	return s
}

// Ready returns nil when every file holds a value that its consumer can use,
// the last good one at least; else it says which does not, and why.
func (f *Follower) Ready() error {
	var waiting []string
	for _, e := range f.entries {
		if s := e.now(); s.State == Waiting {
			waiting = append(waiting, s.line())
		}
	}
	if len(waiting) > 0 {
		return errors.New(strings.Join(waiting, "; "))
	}
	return nil
}

// Doubts tells, a line each, what isn't as it should be though every file holds
// a good value.
func (f *Follower) Doubts() []string {
	var all []string
	for _, e := range f.entries {
		s := e.now()
		if s.State == Behind {
			all = append(all, s.line())
		}
		if s.HookError != "" {
			all = append(all, fmt.Sprintf("%s: hook: %s", s.To, s.HookError))
		}
	}
	return all
}

func (s EntryStatus) line() string {
	text := fmt.Sprintf("%s is %s (%s)", s.To, s.State, s.Reason)
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}

func (e *entry) now() EntryStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

// settle puts the outcome of a look on record. What is new is logged.
func (e *entry) settle(trouble *problem) {
	now := time.Now().UTC()
	e.mu.Lock()
	before := e.status
	s := &e.status
	if e.dealt && (trouble == nil || !trouble.ofStore()) {
		s.SeenAt = &now
	}
	switch trouble {
	case nil:
		s.State, s.Reason, s.Error, s.Since = InStep, "", "", nil
		s.describe(e.good.meta)
	default:
		s.State, s.Reason, s.Error = Waiting, trouble.reason, trouble.err.Error()
		if e.delivered() {
			s.State = Behind
		}
		if before.Reason != s.Reason || s.Since == nil {
			s.Since = &now
		}
	}
	after := *s
	e.mu.Unlock()
	e.metrics.Looked(string(after.reasonWord()))
	if after.State == before.State && after.Reason == before.Reason {
		return
	}
	if trouble == nil {
		e.log.Info("file in step with its store", "generation", after.Generation, "token_id", after.TokenID)
		return
	}
	e.log.Warn("file not in step with its store", "state", string(after.State), "reason", string(after.Reason), "error", trouble.err)
}

// ofStore reports whether the store didn't answer.
func (p *problem) ofStore() bool {
	switch p.reason {
	case StoreAway, StoreDenied, StoreThrottled, StoreRefuses:
		return true
	}
	return false
}

func (s *EntryStatus) describe(m backends.Meta) {
	s.Generation, s.TokenID, s.ExpiresAt = m.Generation, m.TokenID, nil
	if !m.Expires.IsZero() {
		s.ExpiresAt = &m.Expires
	}
}

func (s *EntryStatus) reasonWord() Reason {
	if s.Reason == "" {
		return "in_step"
	}
	return s.Reason
}

// copied puts a write on record.
func (e *entry) copied(meta backends.Meta) {
	now := time.Now().UTC()
	e.mu.Lock()
	e.status.CopiedAt = &now
	e.changes++
	e.mu.Unlock()
	e.metrics.Copied(e.To.Key())
	e.log.Info("file written", "generation", meta.Generation, "token_id", meta.TokenID, "token", meta.Token.Short())
}

// measure is the status as metrics tell it.
func (f *Follower) measure() []metrics.Followed {
	all := make([]metrics.Followed, 0, len(f.entries))
	for _, e := range f.entries {
		s := e.now()
		m := metrics.Followed{To: s.To, InStep: s.State == InStep, Delivered: s.State != Waiting}
		if s.SeenAt != nil {
			m.Seen = *s.SeenAt
		}
		if s.ExpiresAt != nil {
			m.Expires = *s.ExpiresAt
		}
		all = append(all, m)
	}
	return all
}
