package rotation

import (
	"slices"
	"strings"
	"time"
)

// NoSuchToken is the outcome of an emergency that names a token which isn't one
// of the slot's account: a slip, most often.
const NoSuchToken = "the slot's account has no such token; nothing was revoked"

// EmergencyReport is what an operator has to know of an emergency: what is dead
// since when, who has the new token, who hasn't and why. It holds no secret.
type EmergencyReport struct {
	Slot string `json:"slot"`
	// Requests are the ids of those that it carries out.
	Requests []int64 `json:"requests"`
	// Over: nothing that leaked lives, and each target was delivered or had
	// its time. Outcome says so in a line, and is "" before.
	Over    bool   `json:"over"`
	Outcome string `json:"outcome,omitempty"`
	// AskedAt is when it was asked for, TakenUpAt when the slot began.
	AskedAt   *time.Time `json:"asked_at"`
	TakenUpAt *time.Time `json:"taken_up_at"`
	Deadline  *time.Time `json:"deadline"`
	OverAt    *time.Time `json:"over_at"`
	// RevokeFirst and TokenID are as they were asked for.
	RevokeFirst bool  `json:"revoke_first,omitempty"`
	TokenID     int64 `json:"named_token_id,omitempty"`
	// RevokeOnly: nothing is issued in the place of what is revoked, and no
	// target is waited for.
	RevokeOnly bool `json:"revoke_only,omitempty"`
	// Removed: the slot isn't declared any more. Targets are those that it had.
	Removed bool `json:"removed,omitempty"`
	// Blocked: the slot, or its account, waits for a person before it gets a
	// new token.
	Blocked Reason `json:"blocked,omitempty"`
	// Generation and NewTokenID are what was issued in the place of what
	// leaked; 0 is nothing, or nothing yet.
	Generation uint64 `json:"generation"`
	NewTokenID int64  `json:"new_token_id"`
	// IssuedAt is when that was.
	IssuedAt *time.Time `json:"issued_at"`
	// Revoked are the tokens that are dead, in the order of their deaths;
	// Alive those that leaked and may live still.
	Revoked []RevokedToken `json:"revoked"`
	Alive   []AliveToken   `json:"alive"`
	// RevokedAfter is the time from the command to the last death, in seconds;
	// nil while something lives, or when nothing had to be revoked.
	RevokedAfter *float64          `json:"revoked_after_seconds"`
	Targets      []EmergencyTarget `json:"targets"`
}

// AliveToken is a token that leaked and may live still.
type AliveToken struct {
	TokenID    int64  `json:"token_id"`
	Generation uint64 `json:"generation,omitempty"`
	// RetryAt is when its revocation is tried again, after a failure.
	RetryAt *time.Time `json:"retry_at,omitempty"`
}

// EmergencyTarget is one target in an emergency.
type EmergencyTarget struct {
	Backend string `json:"backend"`
	Path    string `json:"path"`
	// Delivered: it serves what is to be served, since At. Else Reason says
	// why it doesn't, and RetryAt when it is tried again.
	Delivered bool       `json:"delivered"`
	At        *time.Time `json:"at,omitempty"`
	Reason    Reason     `json:"reason,omitempty"`
	RetryAt   *time.Time `json:"retry_at,omitempty"`
	// Dead: it was last seen to serve a token that is dead.
	Dead bool `json:"dead,omitempty"`
	// OldVersions: versions of dead tokens are still to be taken out of reach
	// there.
	OldVersions bool `json:"old_versions_left,omitempty"`
}

// Left counts the targets that aren't delivered; none is where nothing is issued.
func (r EmergencyReport) Left() int {
	left := 0
	if r.RevokeOnly {
		return left
	}
	for _, t := range r.Targets {
		if !t.Delivered {
			left++
		}
	}
	return left
}

// Carries reports whether it is the report of the request of that id.
func (r EmergencyReport) Carries(request int64) bool { return slices.Contains(r.Requests, request) }

// DescribeEmergency tells how the slot's last emergency stands at now; false when
// there never was one. An earlier one is told by its request's outcome alone.
func DescribeEmergency(rec Record, pol Policy, now time.Time) (EmergencyReport, bool) {
	e := rec.Emergency
	if e == nil {
		return EmergencyReport{}, false
	}
	r := EmergencyReport{Slot: rec.Slot, Requests: e.Requests, Over: !e.open(), Outcome: e.Outcome,
		AskedAt: moment(e.Asked), TakenUpAt: moment(e.At), Deadline: moment(e.Deadline), OverAt: moment(e.DoneAt),
		RevokeFirst: e.RevokeFirst, TokenID: e.TokenID, RevokeOnly: e.Only, Removed: pol.Removed, Blocked: rec.Blocked, Generation: e.Generation,
		Revoked: append([]RevokedToken{}, e.Revoked...), Alive: []AliveToken{}, Targets: []EmergencyTarget{}}
	if g := rec.generation(e.Generation); g != nil {
		r.NewTokenID, r.IssuedAt = g.TokenID, moment(g.IssuedAt)
	}
	for i := range rec.Generations {
		if g := &rec.Generations[i]; g.condemned(now) {
			r.Alive = append(r.Alive, AliveToken{TokenID: g.TokenID, Generation: g.Number, RetryAt: moment(g.RetryAt)})
		}
	}
	if e.open() && e.Foreign && len(e.Revoked) == 0 {
		r.Alive = append(r.Alive, AliveToken{TokenID: e.TokenID, RetryAt: moment(e.RetryAt)})
	}
	if len(r.Alive) == 0 && len(e.Revoked) > 0 {
		r.RevokedAfter = new(e.lastAct().Sub(e.asked()).Seconds())
	}
	for _, t := range pol.Targets {
		r.Targets = append(r.Targets, rec.emergencyTarget(t.Key))
	}
	if pol.Removed {
		for _, key := range rec.undeclared(&pol) {
			r.Targets = append(r.Targets, rec.emergencyTarget(key).notDeclared())
		}
	}
	return r, true
}

// notDeclared is a target that nobody delivers to any more.
func (t EmergencyTarget) notDeclared() EmergencyTarget {
	return EmergencyTarget{Backend: t.Backend, Path: t.Path, Dead: t.Dead, Reason: NotDeclared}
}

// asked is when the time of an emergency began to run.
func (e *Emergency) asked() time.Time {
	if e.Asked.IsZero() || e.Asked.After(e.At) {
		return e.At
	}
	return e.Asked
}

func (r *Record) emergencyTarget(key string) EmergencyTarget {
	backend, path, _ := strings.Cut(key, "/")
	t := EmergencyTarget{Backend: backend, Path: path}
	rec, known := r.Targets[key]
	if g := r.generation(rec.Serves); g != nil && g.revoked() {
		t.Dead = true
	}
	switch {
	case !known:
		t.Reason = TargetNew
	case rec.State == InStep && r.Lost == "":
		t.Delivered, t.At = true, moment(rec.Since)
	case rec.State == InStep: // nothing was issued that could be delivered
		t.Reason = r.Lost
	default:
		t.Reason, t.RetryAt = rec.Reason, moment(rec.RetryAt)
	}
	t.OldVersions = rec.Removal != nil
	return t
}
