//go:build race

package rotationtest_test

// underRace: the race detector needs the paths, not all the runs; those are
// made without it.
const underRace = true
