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
// variable of the environment, never in the declaration itself. At most one
// field is set; the zero Source names no place.
type Source struct {
	File string `yaml:"file" doc:"a file that holds the credential and nothing else; read again when it is needed"`
	Env  string `yaml:"env" doc:"the name of an environment variable that holds the credential"`
}

// IsZero reports whether no place is named.
func (s Source) IsZero() bool { return s == Source{} }

// Validate refuses a Source that names two places. One that names none may be
// optional where it stands, and passes.
func (s Source) Validate() error {
	if s.File != "" && s.Env != "" {
		return errors.New("both file and env are given; keep one")
	}
	return nil
}

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
// It fails when nothing stands there. An error names the place and never what
// stands there.
func (s Source) Read() (Value, error) {
	text, err := s.read()
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return Value{}, fmt.Errorf("read credential from %s: %w", s, err)
	}
	return New(strings.TrimSpace(text)), nil
}

func (s Source) read() (string, error) {
	switch {
	case s.Validate() != nil:
		return "", s.Validate()
	case s.File != "":
		return readFile(s.File)
	case s.Env == "":
		return "", errors.New("neither a file nor an environment variable is named")
	}
	text, set := os.LookupEnv(s.Env)
	if !set {
		return "", errors.New("it is not set")
	}
	return text, nil
}

func readFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", cause(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	switch {
	case err != nil:
		return "", cause(err)
	case len(text) > maxSource:
		return "", fmt.Errorf("it is larger than %d bytes, so it is no credential", maxSource)
	}
	return string(text), nil
}

// cause takes the path out of err: the message has it already.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
