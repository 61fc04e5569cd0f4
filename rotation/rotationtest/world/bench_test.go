package world_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation/rotationtest/world"
)

// BenchmarkWorld plays the worlds of the seeds up to b.N, one after the other.
// The processor time that one takes is what to compare where other work runs
// beside. TestWorlds says how many a second all processors play.
func BenchmarkWorld(b *testing.B) {
	every := func(string, string) (bool, error) { return true, nil }
	used := processor(b)
	b.ReportAllocs()
	// Bubbles are for tests, so that a benchmark has to run one.
	held := testing.RunTests(every, []testing.InternalTest{{Name: "Worlds", F: func(t *testing.T) {
		for s := range b.N {
			if broken := play(t, uint64(s)+1, world.Options{}).Broken; len(broken) > 0 {
				t.Errorf("seed %d: %v", s+1, broken)
			}
		}
	}}})
	if !held {
		b.Fatal("a world broke a promise")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "worlds/s")
	b.ReportMetric(float64((processor(b)-used).Nanoseconds())/float64(b.N), "processor-ns/op")
}

// processor is the processor time that this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
