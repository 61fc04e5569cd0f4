package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/handover-agent/handover/rotation"
)

// fenceName is the one fence that SQLite needs: of the whole journal.
const fenceName = "journal"

const (
	readFence  = "SELECT value FROM fence WHERE name = $1"
	raiseOrAdd = `INSERT INTO fence (name, value, holder) VALUES ($1, 1, $2)
		ON CONFLICT (name) DO UPDATE SET value = fence.value + 1, holder = excluded.holder
		RETURNING value`
)

// raiseFence ends the lease of whoever wrote before and returns the new value.
func raiseFence(ctx context.Context, db *sql.DB, process string) (value int64, err error) {
	err = transact(ctx, db, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, raiseOrAdd, fenceName, process).Scan(&value)
	})
	return value, err
}

// checkFence fails when this journal's lease is over: ErrFenced. A fence that
// is lower, or missing, says that older content was put into the file.
func (j *Journal) checkFence(w *writing) error {
	var held cell
	err := w.row(readFence+j.dialect.hold, fenceName).Scan(&held)
	if errors.Is(err, sql.ErrNoRows) {
		return because(ErrRemoved, "it has no fence")
	}
	if err != nil {
		return err
	}
	value, err := held.number()
	switch {
	case err != nil:
		return badRow("fence", fenceName, "value", "", err)
	case value > j.fence:
		return fmt.Errorf("%w: its fence is %d, ours %d: another agent took it over; stop one of the two", rotation.ErrFenced, value, j.fence)
	case value < j.fence:
		return because(ErrRemoved, "its fence is %d, ours %d", value, j.fence)
	}
	return nil
}
