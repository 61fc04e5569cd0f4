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
// added by several goroutines, before it searches.
type searcher struct {
	mu      sync.Mutex
	secrets map[string]bool
	plain   needles // 12 characters as they are
	hex     needles // of the text in lower case
	percent needles // of the text in lower case
}

func newSearcher() *searcher {
	return &searcher{secrets: map[string]bool{}, plain: newNeedles(window), hex: newNeedles(2 * window), percent: newNeedles(3 * window)}
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
		s.plain.add(piece, name)
		s.hex.add(hex.EncodeToString([]byte(piece)), name+" in hexadecimal")
		s.percent.add(percent(piece), name+" percent-encoded")
	}
	for i := 0; i+9 <= len(text); i++ {
		s.plain.add(base64.StdEncoding.EncodeToString([]byte(text[i:i+9])), name+" in base64")
		s.plain.add(base64.URLEncoding.EncodeToString([]byte(text[i:i+9])), name+" in base64")
	}
}

func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// find returns whose piece the content holds, "" for none.
func (s *searcher) find(content []byte) string {
	if name := s.plain.find(content); name != "" {
		return name
	}
	lower := bytes.ToLower(content)
	if name := s.hex.find(lower); name != "" {
		return name
	}
	return s.percent.find(lower)
}

// needles are many texts of one length, found in one walk.
type needles struct {
	length int
	names  map[string]string
	// filter has a bit for the first eight bytes of each needle: nearly
	// every place of the haystack is done with after looking there.
	filter []bool
}

const filterBits = 24

func newNeedles(length int) needles {
	return needles{length: length, names: map[string]string{}, filter: make([]bool, 1<<filterBits)}
}

func slot(head []byte) uint64 {
	return binary.LittleEndian.Uint64(head) * 0x9E3779B97F4A7C15 >> (64 - filterBits)
}

func (n *needles) add(text, name string) {
	n.names[text] = name
	n.filter[slot([]byte(text))] = true
}

func (n *needles) find(content []byte) string {
	for i := 0; i+n.length <= len(content); i++ {
		if n.filter[slot(content[i:])] {
			if name, known := n.names[string(content[i:i+n.length])]; known {
				return name
			}
		}
	}
	return ""
}
