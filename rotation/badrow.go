package rotation

import (
	"errors"
	"fmt"
	"slices"
)

// ErrBadRow is the kind of a [*BadRow]: what a journal holds under that name
// isn't what a journal writes, as after an edit by hand. It concerns that name
// alone; the others can be used.
var ErrBadRow = errors.New("a stored row can't be read")

// BadRow is the place in a journal that can't be read. It unwraps to ErrBadRow
// and to Err.
type BadRow struct {
	// Table and Key name the row, Column the place in it.
	Table, Key, Column string
	// Field is the place in a column that holds JSON:
	// "generations[2].state"; "" is the column as a whole.
	Field string
	// Err is what is wrong there.
	Err error
}

// Error names the place, then what is wrong there.
func (e *BadRow) Error() string {
	text := fmt.Sprintf("table %s, key %q, column %s", e.Table, e.Key, e.Column)
	if e.Field != "" {
		text += ", field " + e.Field
	}
	return text + ": " + e.Err.Error()
}

// Unwrap serves errors.Is by kind and errors.As by cause.
func (e *BadRow) Unwrap() []error { return []error{ErrBadRow, e.Err} }

// Check finds the first field of a stored record that no transition writes: a
// record with one isn't acted on. The field is named as in the record's JSON.
func (r *Record) Check() (field string, err error) {
	switch {
	case r.Current != 0 && r.current() == nil:
		return "current", fmt.Errorf("there is no generation %d", r.Current)
	case r.Attempts < 0:
		return "attempts", negative(int64(r.Attempts))
	case r.Handled < 0:
		return "handled", negative(r.Handled)
	}
	last := uint64(0)
	for i := range r.Generations {
		g := &r.Generations[i]
		if part, err := g.check(last, r); err != nil {
			return fmt.Sprintf("generations[%d].%s", i, part), err
		}
		last = g.Number
	}
	if r.Intent != nil {
		if part, err := r.Intent.check(r.High); err != nil {
			return "intent." + part, err
		}
	}
	if r.Parting != nil {
		if part, err := r.Parting.check(); err != nil {
			return "parting." + part, err
		}
	}
	for key, t := range r.Targets {
		if part, err := t.check(); err != nil {
			return fmt.Sprintf("targets[%q].%s", key, part), err
		}
	}
	return "", nil
}

var (
	states       = []State{Live, Waiting, Grace, Hold, Revoking, Observing, Deleting, Gone, Unclaimed}
	targetStates = []TargetState{Behind, InStep, Foreign, TargetBlocked}
)

// check looks at a generation of r that comes after the one of number last.
func (g *Generation) check(last uint64, r *Record) (field string, err error) {
	switch {
	case g.Number <= last:
		return "number", fmt.Errorf("it is %d after %d; they rise", g.Number, last)
	case g.Number > r.High:
		return "number", fmt.Errorf("it is %d, above high, which is %d", g.Number, r.High)
	case !slices.Contains(states, g.State):
		return "state", fmt.Errorf("there is no state %q", g.State)
	case g.State == Live && g.Number != r.Current:
		return "state", fmt.Errorf("it is live, and current is %d", r.Current)
	case g.TokenID < 0:
		return "token_id", negative(g.TokenID)
	case g.Days != nil && *g.Days < 0:
		return "days", negative(int64(*g.Days))
	case g.Attempts < 0:
		return "attempts", negative(int64(g.Attempts))
	}
	return checkOwed(g.Hooks)
}

func checkOwed(hooks []OwedHook) (field string, err error) {
	for i, o := range hooks {
		if o.Attempts < 0 {
			return fmt.Sprintf("hooks[%d].attempts", i), negative(int64(o.Attempts))
		}
	}
	return "", nil
}

func (i *Intent) check(high uint64) (field string, err error) {
	switch {
	case i.Generation == 0:
		return "generation", errors.New("it is 0; they begin at 1")
	case i.Generation > high:
		return "generation", fmt.Errorf("it is %d, above high, which is %d", i.Generation, high)
	case i.Request < 0:
		return "request", negative(i.Request)
	case i.Attempts < 0:
		return "attempts", negative(int64(i.Attempts))
	}
	return "", nil
}

func (r *TargetRecord) check() (field string, err error) {
	switch {
	case !slices.Contains(targetStates, r.State):
		return "state", fmt.Errorf("there is no state %q", r.State)
	case r.Attempts < 0:
		return "attempts", negative(int64(r.Attempts))
	case r.Removal != nil && r.Removal.Attempts < 0:
		return "removal.attempts", negative(int64(r.Removal.Attempts))
	}
	return checkOwed(r.Hooks)
}

// Check is Record.Check for accounts.
func (r *AccountRecord) Check() (field string, err error) {
	switch {
	case r.UserID < 0:
		return "user_id", negative(r.UserID)
	case r.Attempts < 0:
		return "attempts", negative(int64(r.Attempts))
	}
	return "", nil
}

func negative(n int64) error { return fmt.Errorf("it is %d, and can't be below 0", n) }
