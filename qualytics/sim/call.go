package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// call is one request on its way to an answer.
type call struct {
	s     *Server
	ctx   context.Context
	r     *http.Request
	route route
	body  []byte
	// now is when all of the request had arrived.
	now time.Time
	// caller owns the token that authenticated the call.
	caller account
	tweak  tweak
}

// handler serves one route: bounded body, script of faults, authentication,
// the route itself. The body is read before all else: only then does net/http
// notice a client that goes away from a hanging request.
func (s *Server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.add(rt.name())
		c := &call{s: s, ctx: r.Context(), r: r, route: rt}
		a := s.run(c, http.MaxBytesReader(w, r.Body, maxBody))
		s.log.DebugContext(c.ctx, "qualytics simulator answered", "call", rt.name(), "status", a.status, "lost", a.lost, "caller", c.caller.UserID)
		s.write(w, a)
	})
}

func (s *Server) run(c *call, body io.Reader) answer {
	var err error
	if c.body, err = io.ReadAll(body); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return failed(refuse(http.StatusRequestEntityTooLarge, "Request body is larger than %d bytes", maxBody))
		}
		return failed(refuse(http.StatusBadRequest, "There was an error parsing the body"))
	}
	select {
	case <-s.closed:
		return failed(refuse(http.StatusServiceUnavailable, "The simulator is closed"))
	default:
	}
	c.now = s.now()
	if effect, ok := s.script.strike(c.route, c.r.URL.Path); ok {
		return effect.apply(c, answerCall)
	}
	return answerCall(c)
}

// answerCall is the API without faults.
func answerCall(c *call) answer {
	a, err := authorized(c)
	if err != nil {
		var r *refusal
		if !errors.As(err, &r) {
			c.s.log.ErrorContext(c.ctx, "qualytics simulator failed", "call", c.route.name(), "error", err)
		}
		return failed(err)
	}
	return a
}

// authorized lets the route's handler run for those who may.
func authorized(c *call) (answer, error) {
	if c.route.access != open {
		if err := c.authenticate(); err != nil {
			return answer{}, err
		}
	}
	if c.route.access == admin && c.caller.Role != roleAdmin {
		return answer{}, refuse(http.StatusForbidden, "Insufficient permissions: the Admin role is required")
	}
	return c.route.handle(c)
}

// given checks and returns the body.
func (c *call) given() (values, error) {
	return parseBody(c.r.Header.Get("Content-Type"), c.body, c.route.body)
}

// asked checks and returns the query.
func (c *call) asked() (values, error) { return parseQuery(c.r.URL.Query(), c.route.query) }

// id is the number in the path.
func (c *call) id() (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, invalid(problem{"int_parsing", []any{"path", "id"}, "Input should be a valid integer, unable to parse string as an integer"})
	}
	return n, nil
}
