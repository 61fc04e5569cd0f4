//go:build !race

package rotationtest_test

const underRace = false
