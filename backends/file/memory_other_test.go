//go:build !linux

package file_test

import "testing"

// isMemory reports false: the driver doesn't recognise memory here, either.
func isMemory(*testing.T, string) bool { return false }
