package mem

import (
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// The methods below are other hands than the agent's: people, other programs,
// the store's own failures. They work whatever is denied or down.

// Overwrite makes payload current at path, as a person does who edits a
// secret: without metadata. The zero Value deletes.
func (s *Store) Overwrite(path string, payload secret.Value) {
	if payload.IsZero() {
		s.Delete(path)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, n := s.entries[path].add(backends.Item{Payload: payload})
	s.store(path, e.promote(n))
}

// Slip makes payload current at path, as something does that knows nothing of
// the metadata beside it, which stays.
func (s *Store) Slip(path string, payload secret.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[path]
	e, n := e.add(backends.Item{Payload: payload, Meta: e.kept[e.at(backends.Current)].Meta})
	s.store(path, e.promote(n))
}

// RollBack makes the previous value current again and reports whether there
// was one. A store with stages moves its label back to the old version; others
// write the old value as a new version without metadata.
func (s *Store) RollBack(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[path]
	n := e.previous
	if n == 0 {
		return false
	}
	if !s.options.Staging {
		e, n = e.add(backends.Item{Payload: e.kept[n].Payload})
	}
	s.store(path, e.promote(n))
	return true
}

// Delete takes the current value at path away. Its version goes on counting.
func (s *Store) Delete(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[path]
	e.deleted = e.current != 0
	s.store(path, e)
}

// Wipe empties the store, as a restart does with a volatile one.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = map[string]entry{}
}

// Mark sets or takes away metadata of somebody else beside the value at path.
func (s *Store) Mark(path string, set bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[path] = set
}

// Marked reports whether it is there.
func (s *Store) Marked(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[path]
}

// Deny refuses every call for path until Allow.
func (s *Store) Deny(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[path] = true
}

// Allow ends Deny.
func (s *Store) Allow(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.denied, path)
}

// SetDown makes the whole store unavailable, or available again.
func (s *Store) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Peek is what a consumer reads at path now; the zero Value when nothing
// stands there.
func (s *Store) Peek(path string) secret.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[path]
	return e.kept[e.at(backends.Current)].Payload
}

// Written is how many versions were ever made at path, by whoever.
func (s *Store) Written(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[path].last
}
