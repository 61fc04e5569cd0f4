package main

import "runtime/debug"

// restGC is how much garbage may gather before it is collected, in percent of
// what is in use. An agent at rest has time and should be small: with Go's own
// 100, ten thousand slots take 10 MiB more (docs/benchmarks.md).
const restGC = 50

// collectEarly sets the garbage collector for a long life at rest, unless the
// operator has set it.
func (a *app) collectEarly() {
	if _, set := a.env("GOGC"); !set {
		debug.SetGCPercent(restGC)
	}
}
