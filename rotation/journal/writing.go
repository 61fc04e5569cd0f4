package journal

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// writing is a transaction under way.
type writing struct {
	j   *Journal
	ctx context.Context // of the statements: nothing ends it
	tx  *sql.Tx
	end func()
	// fence fails when this journal's lease is over. It is asked once for all
	// acts: in a writing transaction it can't change.
	fence func() error
}

const (
	savepoint = "SAVEPOINT act"
	undo      = "ROLLBACK TO act"
	release   = "RELEASE act"
)

// begin starts a transaction. ctx bounds the wait for it, and nothing after.
func (j *Journal) begin(ctx context.Context) (*writing, error) {
	if err := j.place.check(); err != nil {
		return nil, err
	}
	w := &writing{j: j, ctx: context.WithoutCancel(ctx)}
	waiting, cancel := context.WithCancel(w.ctx)
	stop := context.AfterFunc(ctx, cancel)
	tx, err := j.writer.BeginTx(waiting, nil)
	if err == nil && !stop() { // it ends with ctx after all
		err = errors.Join(ctx.Err(), tx.Rollback())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	w.tx, w.end = tx, cancel
	w.fence = sync.OnceValue(func() error { return j.checkFence(w) })
	return w, nil
}

// all does each act, commits those that took place, and tells each that failed
// why. What it returns is the error of all others: nothing was stored.
func (w *writing) all(acts []*act) error {
	defer func() { _ = w.tx.Rollback() }() // after Commit it does nothing
	done := 0
	for _, a := range acts {
		var broken error
		if a.err, broken = w.one(a, len(acts) > 1); broken != nil {
			return broken
		}
		if a.err == nil {
			done++
		}
	}
	if done == 0 {
		return nil
	}
	if err := w.tx.Commit(); err != nil {
		return err
	}
	// Asked again: what went into a removed file is lost.
	return w.j.place.check()
}

// one does an act. Where others share the transaction, one that fails leaves no
// trace in it. broken: the transaction is over, as after a disk that was full.
func (w *writing) one(a *act, shared bool) (err, broken error) {
	if err := a.ctx.Err(); err != nil {
		return err, nil
	}
	if !shared {
		return a.do(w), nil
	}
	if _, err := w.exec(savepoint); err != nil {
		return nil, err
	}
	if err = a.do(w); err != nil {
		if _, failed := w.exec(undo); failed != nil {
			return err, err // failed says only that there is no transaction
		}
	}
	_, broken = w.exec(release)
	return err, broken
}

func (w *writing) exec(text string, args ...any) (sql.Result, error) {
	if s := w.j.statements[text]; s != nil {
		return w.tx.StmtContext(w.ctx, s).ExecContext(w.ctx, args...) //nolint:sqlclosecheck // the transaction's end closes it
	}
	return w.tx.ExecContext(w.ctx, text, args...)
}

func (w *writing) row(text string, args ...any) *sql.Row {
	if s := w.j.statements[text]; s != nil {
		return w.tx.StmtContext(w.ctx, s).QueryRowContext(w.ctx, args...) //nolint:sqlclosecheck // as above
	}
	return w.tx.QueryRowContext(w.ctx, text, args...)
}

// prepared compiles what is written again and again.
func prepared(ctx context.Context, db *sql.DB, texts ...string) (map[string]*sql.Stmt, error) {
	all := make(map[string]*sql.Stmt, len(texts))
	for _, text := range texts {
		s, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // it lives as long as db, which closes it
		if err != nil {
			return nil, err
		}
		all[text] = s
	}
	return all, nil
}
