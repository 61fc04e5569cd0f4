package main

import (
	"runtime/debug"
	"testing"
)

func TestCollectEarly(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for name, c := range map[string]struct {
		set  bool
		want int
	}{
		"by default":      {false, restGC},
		"as the operator": {true, 100},
	} {
		t.Run(name, func(t *testing.T) {
			a := &app{streams: streams{env: func(key string) (string, bool) { return "100", c.set && key == "GOGC" }}}
			a.collectEarly()
			if got := debug.SetGCPercent(100); got != c.want {
				t.Errorf("the collector is set to %d, want %d", got, c.want)
			}
		})
	}
}
