package journal

import (
	"context"
	"sync"
)

// act is one caller's part of a transaction.
type act struct {
	ctx context.Context
	do  func(w *writing) error
	// ended is closed once err is how it ended.
	ended chan struct{}
	err   error
}

// finish tells how it ended: with an error of its own, or as all others did.
func (a *act) finish(err error) {
	if a.err == nil {
		a.err = err
	}
	close(a.ended)
}

// queue is the acts that wait. Whoever has the turn does all of them.
type queue struct {
	mu   sync.Mutex
	acts []*act
	turn chan struct{} // holds one token
}

func (q *queue) join(a *act) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.acts = append(q.acts, a)
}

// take empties the queue.
func (q *queue) take() []*act {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.acts
	q.acts = nil
	return all
}

// leave reports whether a still waited, and waits no more.
func (q *queue) leave(a *act) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.acts {
		if q.acts[i] == a {
			q.acts = append(q.acts[:i:i], q.acts[i+1:]...)
			return true
		}
	}
	return false
}

// together does an act with all that wait when its turn comes, or has another
// caller do it, and returns how it ended.
func (j *Journal) together(a *act) error {
	j.queue.join(a)
	for {
		select {
		case <-a.ended:
			return a.err
		case j.queue.turn <- struct{}{}:
			j.serve(a)
			<-j.queue.turn
		case <-a.ctx.Done():
			if j.queue.leave(a) {
				return a.ctx.Err()
			}
			<-a.ended // it has begun
			return a.err
		}
	}
}

// serve does what waits, unless the leader's act has ended: acts begin and end
// under the turn alone. They are taken once the file is free, so that each can
// leave before; the wait for that is bounded by the leader's ctx, and if that
// ends it, the others get another leader.
func (j *Journal) serve(leader *act) {
	select {
	case <-leader.ended:
		return
	default:
	}
	w, err := j.begin(leader.ctx)
	if err != nil && leader.ctx.Err() != nil && j.queue.leave(leader) {
		leader.finish(err)
		return
	}
	acts := j.queue.take()
	if err == nil {
		err = w.all(acts)
		w.end()
	}
	for _, a := range acts {
		a.finish(err)
	}
}
