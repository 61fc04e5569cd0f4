package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// cell is a stored value as it is. SQLite keeps any type in any column, and a
// hand may have put it there.
type cell struct{ value any }

// Scan implements sql.Scanner. It never fails.
func (c *cell) Scan(value any) error {
	if b, ok := value.([]byte); ok { // it is the driver's
		value = append([]byte{}, b...)
	}
	c.value = value
	return nil
}

// text is a cell's text. Bytes will do: the sqlite3 shell's readfile makes
// them.
func (c cell) text() (string, error) {
	switch v := c.value.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", c.not("text")
}

// name is a cell's text where bytes won't do: no search for a name finds them.
func (c cell) name() (string, error) {
	if s, ok := c.value.(string); ok {
		return s, nil
	}
	return "", c.not("text")
}

func (c cell) number() (int64, error) {
	if n, ok := c.value.(int64); ok {
		return n, nil
	}
	return 0, c.not("a whole number")
}

func (c cell) moment() (time.Time, error) {
	text, err := c.text()
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(stamp, text)
	if err != nil {
		return time.Time{}, errors.New("there is no time, want one such as 2026-01-02T03:04:05.000000000Z")
	}
	return at, nil
}

func (c cell) not(want string) error {
	kind := "something else"
	switch c.value.(type) {
	case nil:
		kind = "NULL"
	case int64:
		kind = "a number"
	case float64:
		kind = "a number with a fraction"
	case string:
		kind = "text"
	case []byte:
		kind = "bytes"
	}
	return fmt.Errorf("there is %s, want %s", kind, want)
}

// line reads the cells of one row, and keeps the first that can't be read.
type line struct {
	table, key string
	err        error
}

func take[T any](l *line, column string, read func() (T, error)) T {
	value, err := read()
	if err != nil && l.err == nil {
		l.err = badRow(l.table, l.key, column, "", err)
	}
	return value
}

// badRow says that a place in what is stored under key can't be read.
func badRow(table, key, column, field string, err error) error {
	return &Error{Kind: rotation.ErrBadRow, Err: &rotation.BadRow{Table: table, Key: key, Column: column, Field: field, Err: err}}
}
