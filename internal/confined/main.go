//go:build linux

// Command confined runs a program under the limits of a systemd unit, where no
// systemd runs: its SystemCallFilter=, RestrictAddressFamilies=,
// MemoryDenyWriteExecute=, an empty CapabilityBoundingSet=, NoNewPrivileges= and
// LimitCORE=0. It is for tests: what the unit forbids must not stop the agent
// from its work.
//
//	confined deploy/systemd/handover.service handover run
//
// What is a namespace of mounts or devices in the unit isn't played. The sets of
// system calls are those of the systemd that is installed.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

func main() {
	if err := confine(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "confined:", err)
		os.Exit(1)
	}
}

// confine turns the process into the program. It returns only with an error.
func confine(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: confined UNIT PROGRAM [ARGUMENT]…")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	sets, err := systemCallSets()
	if err != nil {
		return err
	}
	limits, err := readLimits(string(text), sets)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	runtime.LockOSThread() // capabilities are a thread's
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core dumps: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := limits.load(); err != nil {
		return fmt.Errorf("system call filter: %w", err)
	}
	return unix.Exec(program, args[1:], os.Environ())
}

// dropCapabilities leaves neither this thread nor what it executes any.
func dropCapabilities() error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &(&[2]unix.CapUserData{})[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
