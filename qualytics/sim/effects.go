package sim

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Effect is what a fault does to a request. The zero Effect does nothing.
type Effect struct {
	// do handles the request; next is the API without the fault.
	do func(c *call, next func(*call) answer) answer
}

func (e Effect) apply(c *call, next func(*call) answer) answer {
	if e.do == nil {
		return next(c)
	}
	return e.do(c, next)
}

// instead makes an effect that answers without running the request.
func instead(a answer) Effect {
	return Effect{func(*call, func(*call) answer) answer {
		a := a
		a.header = a.header.Clone()
		return a
	}}
}

// tweaked makes an effect that runs the request under a tweak.
func tweaked(t tweak) Effect {
	return Effect{func(c *call, next func(*call) answer) answer {
		c.tweak = t
		return next(c)
	}}
}

// tweak is how a fault reaches into a handler.
type tweak struct {
	lag           time.Duration // lists are as of that long ago
	behind        int           // or of that many changes ago
	cut           bool          // lists end after keep items
	keep          int
	freshDelay    time.Duration // a new token is valid after that
	freshRefusals int           // or after that many refusals
}

// undo tells a list which changes it doesn't know yet; nil is none.
func (t tweak) undo(now time.Time) func(newer int, at time.Time) bool {
	if t.lag <= 0 && t.behind <= 0 {
		return nil
	}
	return func(newer int, at time.Time) bool {
		return newer < t.behind || t.lag > 0 && at.After(now.Add(-t.lag))
	}
}

// Answer answers with status and body, as JSON; nothing is done.
func Answer(status int, body string) Effect {
	return instead(answer{status: status, body: []byte(body)})
}

// Throttle answers 429 with Retry-After, in whole seconds rounded up; below 0
// there is no such header. Nothing is done.
func Throttle(after time.Duration) Effect {
	a := answer{status: http.StatusTooManyRequests, body: []byte(`{"detail":"Too Many Requests"}`)}
	if after >= 0 {
		a.header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(after.Seconds())))}}
	}
	return instead(a)
}

// NotJSON answers 200 with a page of HTML, as a proxy does; nothing is done.
func NotJSON() Effect {
	header := http.Header{"Content-Type": {"text/html"}}
	return instead(answer{status: http.StatusOK, header: header, body: []byte("<html><body>Please sign in</body></html>")})
}

// Drop loses the connection before anything is done. On a socket, net/http's
// client repeats a GET by itself when the connection had served one before.
func Drop() Effect { return instead(answer{lost: true}) }

// Hang does nothing and never answers: it ends with the request's context, or
// with the server.
func Hang() Effect {
	return Effect{func(c *call, _ func(*call) answer) answer {
		select {
		case <-c.ctx.Done():
		case <-c.s.closed:
		}
		return answer{lost: true}
	}}
}

// Flood answers 200 with a JSON array of that many bytes, which never closes;
// below 0 it never ends either. Nothing is done.
func Flood(bytes int64) Effect {
	return Effect{func(c *call, _ func(*call) answer) answer {
		var stream io.Reader = &brackets{done: c.s.closed}
		if bytes >= 0 {
			stream = io.LimitReader(stream, bytes)
		}
		return answer{status: http.StatusOK, stream: stream}
	}}
}

// brackets reads as "[        " without an end, until done.
type brackets struct {
	begun bool
	done  <-chan struct{}
}

// Read fills p.
func (b *brackets) Read(p []byte) (int, error) {
	select {
	case <-b.done:
		return 0, io.EOF
	default:
	}
	for i := range p {
		p[i] = ' '
	}
	if !b.begun && len(p) > 0 {
		p[0], b.begun = '[', true
	}
	return len(p), nil
}

// CommitThen runs the request, throws its answer away, and has then: with
// Answer(500, "") or Drop() the client can't know that it took place.
func CommitThen(then Effect) Effect {
	return Effect{func(c *call, next func(*call) answer) answer {
		done := next(c)
		return then.apply(c, func(*call) answer { return done })
	}}
}

// CutBody runs the request, announces all of its answer, and loses the
// connection after half of it.
func CutBody() Effect {
	return Effect{func(c *call, next func(*call) answer) answer {
		a := next(c)
		a.cut = (len(a.body) + 1) / 2
		return a
	}}
}

// Twice runs the request two times, as a network that delivers it again, and
// answers as the second time.
func Twice() Effect {
	return Effect{func(c *call, next func(*call) answer) answer {
		next(c)
		return next(c)
	}}
}

// Lag answers lists of users and tokens as they were that long ago on the
// server's clock. last_used of a row that hasn't changed since is as of now.
// The last 1,024 changes can be undone, and none of before the start.
func Lag(by time.Duration) Effect { return tweaked(tweak{lag: by}) }

// LagChanges answers lists as they were that many changes ago, at most 1,024.
func LagChanges(n int) Effect { return tweaked(tweak{behind: n}) }

// CutList answers lists with their first keep items alone, well-formed; the
// totals of a paged list stay.
func CutList(keep int) Effect { return tweaked(tweak{cut: true, keep: max(keep, 0)}) }

// FreshDelay mints a token that is refused until then on the server's clock.
func FreshDelay(d time.Duration) Effect { return tweaked(tweak{freshDelay: d}) }

// FreshRefusals mints a token that is refused the first n times. A restart
// forgets it.
func FreshRefusals(n int) Effect { return tweaked(tweak{freshRefusals: n}) }
