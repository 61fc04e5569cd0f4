package rotationtest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// door is the part of a journal that deals in one kind of record, so that a
// rule is written once for slots and accounts.
type door struct {
	read   func(ctx context.Context, key string) (any, error)
	commit func(ctx context.Context, rec any, event rotation.Event) (any, error)
	// empty is a record that nothing is known of; full has a value in every
	// field, whatever fields there will be.
	empty, full func(key string) any
	at          func(rec any, revision int64) any
	revision    func(rec any) int64
}

func slotDoor(j rotation.Journal) door {
	return door{
		read: func(ctx context.Context, key string) (any, error) { return j.Slot(ctx, key) },
		commit: func(ctx context.Context, rec any, event rotation.Event) (any, error) {
			return j.Commit(ctx, rec.(rotation.Record), event)
		},
		empty: func(key string) any { return rotation.Record{Slot: key} },
		full: func(key string) any {
			var rec rotation.Record
			fill(reflect.ValueOf(&rec).Elem())
			rec.Slot, rec.Revision = key, 0
			rec.Generations[0].Number-- // they rise
			return rec
		},
		at: func(rec any, revision int64) any {
			r := rec.(rotation.Record)
			r.Revision = revision
			return r
		},
		revision: func(rec any) int64 { return rec.(rotation.Record).Revision },
	}
}

func accountDoor(j rotation.Journal) door {
	return door{
		read: func(ctx context.Context, key string) (any, error) { return j.Account(ctx, key) },
		commit: func(ctx context.Context, rec any, event rotation.Event) (any, error) {
			return j.CommitAccount(ctx, rec.(rotation.AccountRecord), event)
		},
		empty: func(key string) any { return rotation.AccountRecord{ID: key} },
		full: func(key string) any {
			var rec rotation.AccountRecord
			fill(reflect.ValueOf(&rec).Elem())
			rec.ID, rec.Revision = key, 0
			return rec
		},
		at: func(rec any, revision int64) any {
			r := rec.(rotation.AccountRecord)
			r.Revision = revision
			return r
		},
		revision: func(rec any) int64 { return rec.(rotation.AccountRecord).Revision },
	}
}

func (d door) mustCommit(t *testing.T, rec any) any {
	t.Helper()
	rec, err := d.commit(t.Context(), rec, event(slotA))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// wipe empties all that rec shares with its copies.
func (d door) wipe(rec any) { wipe(reflect.ValueOf(rec)) }

// chosen are values of types that don't take any.
var chosen = map[reflect.Type]reflect.Value{
	reflect.TypeFor[time.Time]():            reflect.ValueOf(time.Date(2027, 2, 28, 23, 59, 59, 999999999, time.UTC)),
	reflect.TypeFor[rotation.State]():       reflect.ValueOf(rotation.Hold),
	reflect.TypeFor[rotation.TargetState](): reflect.ValueOf(rotation.Foreign),
}

// fill gives every field under v a value that isn't its zero: the largest
// numbers, awkward text, two elements in each slice.
func fill(v reflect.Value) {
	if value, ok := chosen[v.Type()]; ok {
		v.Set(value)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<62 + 1)
	case reflect.Uint64:
		v.SetUint(1<<64 - 1)
	case reflect.String:
		v.SetString("a 'quoted' \"text\"\n\\ <é> \u2028 🔑")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

// wipe zeroes what v points to: a copy of v that shares it is changed too.
func wipe(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			v.Elem().SetZero()
		}
	case reflect.Slice:
		for i := range v.Len() {
			wipe(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			wipe(v.MapIndex(key))
			v.SetMapIndex(key, reflect.Value{})
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				wipe(v.Field(i))
			}
		}
	}
}
