// Package file keeps tokens in files below one folder of this machine.
//
// A target is a single file, or a folder in the manner of the kubelet
// (sink: directory), which a consumer can watch. Either way a reader finds the
// old value or the new one, whole, at every instant. A crash leaves at most a
// temporary file, which the next Put removes.
//
// There is no compare-and-set among files: who writes last wins. A single file
// keeps no previous value, for an old secret has no business on a disk; the
// directory sink has one, until the next Put or Remove, which the agent calls
// once the token in it is revoked. docs/backends/file.md is the operator's side.
//
// What is known of a value (backends.Meta) stands in <dir>/.handover/, tied to
// the fingerprint of the payload that it describes. Two agents that share a
// folder take turns by a lock in there.
package file

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/handover-agent/handover/backends"
)

// maxPayload bounds what is written and what is read, in bytes. No format comes
// near it.
const maxPayload = 1 << 20

// maxName is the longest name in a folder, in bytes, as Linux has it.
const maxName = 255

// reserved begins the names that are the driver's own, at every level.
const reserved = ".handover"

// pathPattern allows relative, clean paths without control characters, without
// names that start with ".." (the directory sink's own) and without reserved
// names.
var pathPattern = regexp.MustCompile("^" + component + "(/" + component + ")*$")

// component is one name: not empty, and no dot at its start unless what follows
// is neither a dot nor the rest of reserved.
var component = `([^./` + control + `][^/` + control + `]*|\.` + withoutPrefix(".", strings.TrimPrefix(reserved, ".")) + `)`

const control = `\x00-\x1f\x7f`

// withoutPrefix is a pattern for the names that are not empty, don't begin with
// a character of forbidden, and don't begin with prefix. RE2 has no lookahead,
// so it goes letter by letter from the last.
func withoutPrefix(forbidden, prefix string) string {
	rest := ""
	for i := len(prefix) - 1; i >= 0; i-- {
		letter, others, ends := prefix[i:i+1], prefix[i:i+1], "?"
		if i == 0 {
			others, ends = letter+forbidden, ""
		}
		differs := `[^` + others + `/` + control + `][^/` + control + `]*`
		if rest != "" {
			differs += `|` + letter + rest
		}
		rest = `(` + differs + `)` + ends
	}
	return rest
}

// properties says what a folder can do. Versions is false because single files
// keep none.
func properties(volatile bool) backends.Properties {
	return backends.Properties{
		Metadata:      true,
		Volatile:      volatile,
		Local:         true,
		RemoveRevoked: true, // a disk is no place for an old secret
		MaxPayload:    maxPayload,
		Path: backends.PathRule{
			Pattern: pathPattern,
			Max:     1024,
			MaxPart: maxName,
			Says:    "a path below dir, names joined by single slashes, none starting with .. or " + reserved,
		},
	}
}

// Driver introduces the type "file".
func Driver() backends.Driver {
	return backends.Driver{
		Type:          "file",
		Options:       func() any { return &Options{} },
		TargetOptions: func() any { return &TargetOptions{} },
		Properties: func(options any) backends.Properties {
			o, ok := options.(*Options)
			return properties(ok && o != nil && (o.Volatile || onMemory(o.Dir)))
		},
		Place: place,
		Open:  open,
	}
}

// place is the absolute path of the file; of the folder for a directory sink,
// which belongs to its target whole.
func place(options any, ref backends.Ref) string {
	dir := ref.Backend
	if o, ok := options.(*Options); ok && o != nil {
		dir = o.Dir
		if absolute, err := filepath.Abs(dir); err == nil {
			dir = absolute
		}
	}
	below := path.Clean("/" + ref.Path)
	if t, ok := ref.Options.(*TargetOptions); ok && t != nil && t.Sink == SinkDirectory {
		below = path.Dir(below)
	}
	return path.Join(dir, below)
}

// open makes the backend. The folder is made by the first Put.
func open(_ context.Context, env backends.Env, options any) (backends.Backend, error) {
	o, ok := options.(*Options)
	if !ok || o == nil {
		return nil, fmt.Errorf("open backend %s: options of type %T, not of file", env.Name, options)
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open backend %s: %w", env.Name, err)
	}
	filled := *o
	filled.Dir = dir
	return &backend{
		options:    filled,
		properties: properties(o.Volatile || onMemory(dir)),
		log:        env.Log.With("backend", env.Name),
		turn:       make(chan struct{}, 1),
		swept:      map[string]bool{},
	}, nil
}
