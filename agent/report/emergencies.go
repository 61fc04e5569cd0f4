package report

import (
	"context"
	"errors"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// Emergencies tells how the last emergency of some slots stands.
type Emergencies struct {
	// Now is when it was told, in the API's time.
	Now time.Time `json:"now"`
	// Emergencies has no entry for a slot that never had one.
	Emergencies []rotation.EmergencyReport `json:"emergencies"`
}

// SlotReader is what Emergencies are read from: records of slots and accounts.
type SlotReader interface {
	// Slot fails with rotation.ErrNoRecord for a slot that has none.
	Slot(ctx context.Context, slot string) (rotation.Record, error)
	// Account fails with rotation.ErrNoRecord for an account that has none.
	Account(ctx context.Context, id string) (rotation.AccountRecord, error)
}

// BuildEmergencies reads the records of the policies' slots. A slot whose record
// can't be read is left out: its status says why.
func BuildEmergencies(ctx context.Context, journal SlotReader, policies []rotation.Policy, now time.Time) (Emergencies, error) {
	all := Emergencies{Now: now.UTC(), Emergencies: []rotation.EmergencyReport{}}
	for _, policy := range policies {
		record, err := journal.Slot(ctx, policy.Slot)
		var bad *rotation.BadRow
		switch {
		case errors.Is(err, rotation.ErrNoRecord), errors.As(err, &bad):
			continue
		case err != nil:
			return Emergencies{}, err
		}
		e, ever := rotation.DescribeEmergency(record, policy, now)
		if !ever {
			continue
		}
		if e.Blocked == "" {
			if e.Blocked, err = blocked(ctx, journal, policy.AccountID); err != nil {
				return Emergencies{}, err
			}
		}
		all.Emergencies = append(all.Emergencies, e)
	}
	return all, nil
}

// blocked is why an account waits for a person; "" when it doesn't, or nothing
// that can be read says so.
func blocked(ctx context.Context, journal SlotReader, id string) (rotation.Reason, error) {
	account, err := journal.Account(ctx, id)
	var bad *rotation.BadRow
	if errors.Is(err, rotation.ErrNoRecord) || errors.As(err, &bad) {
		return "", nil
	}
	return account.Blocked, err
}
