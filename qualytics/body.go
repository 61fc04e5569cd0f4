package qualytics

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxList   = 64 << 20
	maxAnswer = 1 << 20
)

var (
	// errTooLarge: the body is larger than its bound.
	errTooLarge = errors.New("the answer is larger")
	// errCut: the JSON ends too soon; another attempt may have it all.
	errCut = errors.New("the answer is cut or empty")
	// errPermanent: another attempt can't help.
	errPermanent = errors.New("permanent")
)

// permanent marks an error that another attempt can't help, without a word.
type permanent struct{ error }

func (p permanent) Unwrap() error        { return p.error }
func (p permanent) Is(target error) bool { return target == errPermanent }

// bound is how large the answer may be, in bytes.
func (c *call) bound() int64 {
	switch {
	case c.max > 0:
		return c.max
	case c.class == lists:
		return maxList
	}
	return maxAnswer
}

// bounded reads at most left bytes and then fails with errTooLarge. It keeps
// the first failure of the reader below, so that a cut connection can be told
// from cut JSON.
type bounded struct {
	from io.Reader
	left int64
	err  error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.from.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), errTooLarge
	}
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// decode reads one JSON value and nothing after it.
func decode(r io.Reader, into any) error {
	decoder := json.NewDecoder(r)
	if err := decoder.Decode(into); err != nil {
		return err
	}
	return atEnd(decoder)
}

// atEnd fails when more than white space follows the value.
func atEnd(decoder *json.Decoder) error {
	switch _, err := decoder.Token(); {
	case err == io.EOF:
		return nil
	case errors.Is(err, errTooLarge):
		return err
	}
	return errors.New("more follows after its JSON")
}

// nothing takes an answer that says nothing more than its status: no body, or
// some JSON. Any other body is no answer of the API: a web page of a proxy
// with status 200 must not count as a revocation.
func nothing(r io.Reader) error {
	var ignored json.RawMessage
	if err := decode(r, &ignored); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// jsonTrouble says what is wrong with a body in the words of the API's fields.
// It names no value.
func jsonTrouble(err error, contentType string) error {
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case errors.As(err, &syntax) && strings.Contains(contentType, "html"):
		return errors.New("a web page, not JSON: is the url right?")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	case errors.As(err, &shape):
		kind, _, _ := strings.Cut(shape.Value, " ")
		return fmt.Errorf("field %q holds a JSON %s", shape.Field, kind)
	}
	return err
}
