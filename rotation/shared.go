package rotation

import (
	"context"
	"sync"
	"time"
)

// snapshot is one complete list of the API, shared by all slots.
type snapshot[T any] struct {
	// at is the API's time when it was asked for.
	at time.Time
	// seq is the engine's count of changes when it was asked for.
	seq   uint64
	byKey map[string]T
	// since is, for each key, the number of the first list of those in a row
	// that told the same of it: as long as it is the same, so is what is told.
	since map[string]uint64
}

// shared fetches a list for whoever needs it, one at a time: those who wait
// take what the one before them brought, if it is new enough for them, and its
// failure too.
type shared[T any] struct {
	fetch func(context.Context) (map[string]T, error)
	same  func(a, b T) bool
	now   func() time.Time
	seq   func() uint64

	turn   chan struct{} // holds one token: whoever has it may fetch
	mu     sync.Mutex
	last   *snapshot[T]
	lists  uint64 // how many were fetched
	fails  int    // fetches that failed, and the error of the last one
	failed error
}

func newShared[T any](now func() time.Time, seq func() uint64, same func(a, b T) bool,
	fetch func(context.Context) (map[string]T, error)) *shared[T] {
	return &shared[T]{fetch: fetch, same: same, now: now, seq: seq, turn: make(chan struct{}, 1)}
}

// get returns a list that was asked for at or after the given time, and after
// the given number of changes.
func (s *shared[T]) get(ctx context.Context, after time.Time, seq uint64) (*snapshot[T], error) {
	if list := s.cached(after, seq); list != nil {
		return list, nil
	}
	before, _ := s.failure()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if list := s.cached(after, seq); list != nil {
		return list, nil
	}
	if fails, err := s.failure(); fails > before { // what failed for one who waited here fails for all
		return nil, err
	}
	list := &snapshot[T]{at: s.now(), seq: s.seq()}
	var err error
	list.byKey, err = s.fetch(ctx)
	list.at = earlier(list.at, s.now()) // the answer may have put the clock right
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.lists++
		list.compare(s.last, s.lists, s.same)
		s.last = list
		return list, nil
	case ctx.Err() == nil:
		s.fails, s.failed = s.fails+1, err
	}
	return nil, err
}

func (s *shared[T]) failure() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails, s.failed
}

func (s *shared[T]) cached(after time.Time, seq uint64) *snapshot[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.at.Before(after) || s.last.seq < seq {
		return nil
	}
	return s.last
}

// keyLocks lets one caller at a time in for each key.
type keyLocks struct {
	mu    sync.Mutex
	locks map[string]*keyLock
}

type keyLock struct {
	turn  chan struct{}
	users int
}

// lock waits for its turn and returns what ends it.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyLock{}
	}
	l := k.locks[key]
	if l == nil {
		l = &keyLock{turn: make(chan struct{}, 1)}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	unlock = func() { <-l.turn; k.leave(key, l) }
	select { // most often nobody else wants it
	case l.turn <- struct{}{}:
		return unlock, nil
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return unlock, nil
	case <-ctx.Done():
		k.leave(key, l)
		return nil, ctx.Err()
	}
}

// leave forgets a lock that nobody holds or waits for.
func (k *keyLocks) leave(key string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.locks, key)
	}
}

// compare numbers what the list tells of each key: as the list before it did,
// where both tell the same.
func (s *snapshot[T]) compare(before *snapshot[T], number uint64, same func(a, b T) bool) {
	s.since = make(map[string]uint64, len(s.byKey))
	for key, now := range s.byKey {
		s.since[key] = number
		if before == nil {
			continue
		}
		if was, listed := before.byKey[key]; listed && same(was, now) {
			s.since[key] = before.since[key]
		}
	}
}
