package sim

import (
	"slices"
	"sync"
)

// Fault is one line of the script: which requests it strikes, and how.
type Fault struct {
	// Method and Path choose the requests; "" is any. Path is a pattern of
	// the API ("/user-tokens/{id}") or one path ("/user-tokens/5001"), both
	// without /api.
	Method, Path string
	// Skip lets that many chosen requests pass first.
	Skip int
	// Times is how many it strikes then: 0 is one, below 0 is all.
	Times int
	// Effect is what happens to them.
	Effect Effect
}

// Rule is a fault in the script.
type Rule struct {
	script *script
	fault  Fault
	seen   int
	struck int
}

// Inject adds a fault at the end of the script. A request is offered to the
// rules in their order until one strikes: at most one does, those before it
// have counted the request, those behind it haven't seen it.
func (s *Server) Inject(f Fault) *Rule {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	rule := &Rule{script: &s.script, fault: f}
	s.script.rules = append(s.script.rules, rule)
	return rule
}

// ClearFaults empties the script. Requests that hang go on hanging.
func (s *Server) ClearFaults() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.rules = nil
}

// Struck is how many requests the rule has struck.
func (r *Rule) Struck() int {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	return r.struck
}

// Remove takes the rule out of the script.
func (r *Rule) Remove() {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	r.script.rules = slices.DeleteFunc(r.script.rules, func(other *Rule) bool { return other == r })
}

// script is the faults to come.
type script struct {
	mu    sync.Mutex
	rules []*Rule
}

// strike asks the rules about one request.
func (sc *script) strike(rt route, path string) (Effect, bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, r := range sc.rules {
		if r.strikes(rt, path) {
			return r.fault.Effect, true
		}
	}
	return Effect{}, false
}

// strikes counts the request, and tells whether it is the rule's turn.
func (r *Rule) strikes(rt route, path string) bool {
	f := r.fault
	if f.Method != "" && f.Method != rt.method || f.Path != "" && f.Path != rt.path && f.Path != path {
		return false
	}
	times := f.Times
	if times == 0 {
		times = 1
	}
	if times > 0 && r.struck >= times {
		return false
	}
	r.seen++
	if r.seen <= f.Skip {
		return false
	}
	r.struck++
	return true
}
