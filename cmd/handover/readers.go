package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// readEvery is how often a reader reads, in declared time.
const readEvery = 6 * time.Hour

// reader is the consumer of one target.
type reader struct {
	slot   string
	target *backends.Target
	// delivered is set once the target was seen to hold a token: from then
	// on it must hold one that works.
	delivered bool
}

// openTargets opens the backends once more, as the consumers' own access.
func (w *watch) openTargets(ctx context.Context) error {
	byName := map[string]backends.Backend{}
	for _, b := range w.declaration.Backends {
		opened, err := b.Driver.Open(ctx, backends.Env{Name: b.Name, AgentID: "readers", Log: slog.New(slog.DiscardHandler)}, b.Options)
		if err != nil {
			return fmt.Errorf("open backend %s for the readers: %w", b.Name, err)
		}
		byName[b.Name] = opened
		w.opened = append(w.opened, opened)
	}
	for _, account := range w.declaration.Accounts {
		for _, token := range account.Tokens {
			for _, t := range token.Deliver {
				w.readers = append(w.readers, reader{slot: account.Slot(token),
					target: &backends.Target{Ref: t.Ref, Backend: byName[t.Ref.Backend], Format: t.Format}})
			}
		}
	}
	return nil
}

// startReaders starts one reader for each target. They end with ctx.
func (w *watch) startReaders(ctx context.Context, all *sync.WaitGroup) {
	for i := range w.readers {
		done := w.clock.Busy()
		all.Go(func() {
			defer done()
			next := w.clock.Now()
			for ctx.Err() == nil {
				w.read(ctx, &w.readers[i])
				next = next.Add(readEvery)
				w.clock.Wait(ctx, next, nil)
			}
		})
	}
}

// read is one use of a target by its consumer.
func (w *watch) read(ctx context.Context, r *reader) {
	found, err := r.target.Read(ctx, backends.Current)
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil:
		w.trouble("%s could not be read: %v", r.target.Key(), err)
	case found.Token.IsZero() && r.delivered:
		w.trouble("%s holds no token any more", r.target.Key())
	case !found.Token.IsZero():
		r.delivered = true
		refused, err := w.use(ctx, found.Token)
		if err != nil {
			if ctx.Err() == nil {
				w.trouble("the reader of %s did not reach the simulator: %v", r.target.Key(), err)
			}
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.count.Reads++
		if refused {
			w.count.RefusedReads++
			fmt.Fprintf(w.story, "day %7.2f  REFUSED               the token at %s\n", w.days(), r.target.Key())
		}
	}
}

// use calls the simulator as a consumer does.
func (w *watch) use(ctx context.Context, token secret.Value) (refused bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+"/api/teams?page=1&size=1", http.NoBody)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	answer, err := w.client.Do(request)
	if err != nil {
		return false, secret.Redact(err, token)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)); err != nil {
		return false, err
	}
	return answer.StatusCode != http.StatusOK, nil
}
