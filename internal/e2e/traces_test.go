package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// window is the longest piece of a secret that may show up anywhere, less one.
const window = 12

// evidence is everything that was seen of the processes, by place.
type evidence struct {
	mu    sync.Mutex
	items map[string][][]byte
}

func (e *evidence) keep(where string, content []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.items == nil {
		e.items = map[string][][]byte{}
	}
	if !slices.ContainsFunc(e.items[where], func(had []byte) bool { return bytes.Equal(had, content) }) {
		e.items[where] = append(e.items[where], bytes.Clone(content))
	}
}

// places lists where the evidence is from, and its size in bytes.
func (e *evidence) places() (names []string, size int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, all := range e.items {
		names = append(names, name)
		for _, content := range all {
			size += len(content)
		}
	}
	slices.Sort(names)
	return names, size
}

// count is how often a text stands in the evidence.
func (e *evidence) count(text string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := 0
	for _, all := range e.items {
		for _, content := range all {
			sum += bytes.Count(content, []byte(text))
		}
	}
	return sum
}

// search returns a line for each place that shows a piece of a secret, never
// the piece.
func (e *evidence) search(s *searcher) []string {
	names, _ := e.places()
	var found []string
	for _, name := range names {
		for _, content := range e.items[name] {
			if what := s.find(content); what != "" {
				found = append(found, name+" shows "+what)
				break
			}
		}
	}
	return found
}

// searcher finds any 12 bytes of known secrets: raw, in base64 of both
// alphabets at any offset, in hexadecimal, percent-encoded. Secrets may be
// added by several goroutines, also by a call that ends while it searches.
type searcher struct {
	mu      sync.Mutex
	secrets map[string]bool
	// names has whose piece each needle is. All needles have one of lengths.
	names map[string]string
	// filter has a mark for the first eight bytes of each needle: nearly
	// every place of the haystack is done with after looking there.
	filter []bool
}

// lengths are those of 12 bytes as they are (and 9 in base64), in hexadecimal,
// and percent-encoded.
var lengths = []int{window, 2 * window, 3 * window}

const filterBits = 24

func newSearcher() *searcher {
	return &searcher{secrets: map[string]bool{}, names: map[string]string{}, filter: make([]bool, 1<<filterBits)}
}

// addToken adds the parts of a JWT that make it one: payload and signature.
func (s *searcher) addToken(name, token string) {
	for i, part := range strings.Split(token, ".") {
		if i > 0 {
			s.add(name, part)
		}
	}
}

// add adds a secret of at least 12 bytes.
//
// Twelve bytes hold, whatever their offset in a base64 stream, nine that stand
// at a boundary, which are twelve characters there.
func (s *searcher) add(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets[text] {
		return
	}
	s.secrets[text] = true
	for i := 0; i+window <= len(text); i++ {
		piece := text[i : i+window]
		s.needle(piece, name)
		for _, encoded := range []string{hex.EncodeToString([]byte(piece)), percent(piece)} {
			s.needle(encoded, name+", encoded")
			s.needle(strings.ToUpper(encoded), name+", encoded")
		}
	}
	for i := 0; i+9 <= len(text); i++ {
		s.needle(base64.StdEncoding.EncodeToString([]byte(text[i:i+9])), name+" in base64")
		s.needle(base64.URLEncoding.EncodeToString([]byte(text[i:i+9])), name+" in base64")
	}
}

// count is how many secrets are known.
func (s *searcher) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.secrets)
}

func (s *searcher) needle(text, name string) {
	s.names[text] = name
	s.filter[mark([]byte(text))] = true
}

func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// mark is the place of a needle's head in the filter.
func mark(head []byte) uint64 {
	return binary.LittleEndian.Uint64(head) * 0x9E3779B97F4A7C15 >> (64 - filterBits)
}

// find returns whose piece the content holds, "" for none.
//
//go:norace it reads many megabytes, which nobody writes any more.
func (s *searcher) find(content []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+window <= len(content); i++ {
		if !s.filter[mark(content[i:])] {
			continue
		}
		for _, n := range lengths {
			if i+n > len(content) {
				break
			}
			if name, known := s.names[string(content[i:i+n])]; known {
				return name
			}
		}
	}
	return ""
}
