package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSource bounds what is read from a credential file, in bytes.
const maxSource = 64 << 10

// Source says where a credential of the agent stands: in a file or in a
// variable of the environment, never in the declaration itself. Exactly one
// field is set.
type Source struct {
	File string `yaml:"file" doc:"a file that holds the credential and nothing else; read again when it is needed"`
	Env  string `yaml:"env" doc:"the name of an environment variable that holds the credential"`
}

// IsZero reports whether no place is named.
func (s Source) IsZero() bool { return s == Source{} }

// String names the place, not what stands there.
func (s Source) String() string {
	switch {
	case s.File != "":
		return "file " + s.File
	case s.Env != "":
		return "environment variable " + s.Env
	}
	return "no source"
}

// Read returns what stands at the source now, without white space around it.
// It fails when nothing stands there.
func (s Source) Read() (Value, error) {
	text, err := s.read()
	if err != nil {
		return Value{}, fmt.Errorf("read credential from %s: %w", s, err)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return Value{}, fmt.Errorf("read credential from %s: it is empty", s)
	}
	return New(text), nil
}

func (s Source) read() (string, error) {
	if s.File == "" {
		return os.Getenv(s.Env), nil
	}
	f, err := os.Open(s.File)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) { // the path is already in the message
			err = path.Err
		}
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err == nil && len(text) > maxSource {
		err = fmt.Errorf("it is larger than %d bytes", maxSource)
	}
	return string(text), err
}
