//go:build !linux

package file_test

// unprivileged runs act as it is: here the tests of permissions show something
// to a user alone who isn't root.
func unprivileged(act func()) { act() }
