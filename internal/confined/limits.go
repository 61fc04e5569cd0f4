//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// limits are what a unit lets a process do.
type limits struct {
	calls    []string // the system calls that are allowed
	families []uint64 // of sockets; nil is all
	// writeOrExecute: memory is one or the other.
	writeOrExecute bool
}

// families are those that a unit here may name.
var families = map[string]uint64{"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6}

// readLimits reads the lines of a unit that it plays. sets are the system calls
// of each set, by its name.
func readLimits(unit string, sets map[string][]string) (limits, error) {
	var l limits
	allowed := map[string]bool{}
	for line := range strings.SplitSeq(unit, "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "SystemCallFilter":
			if err := filter(allowed, value, sets); err != nil {
				return l, err
			}
		case "RestrictAddressFamilies":
			for name := range strings.FieldsSeq(value) {
				family, known := families[name]
				if !known {
					return l, fmt.Errorf("%s: the family %s isn't known here", line, name)
				}
				l.families = append(l.families, family)
			}
		case "MemoryDenyWriteExecute":
			l.writeOrExecute = value == "yes"
		case "CapabilityBoundingSet":
			if value != "" {
				return l, fmt.Errorf("%s: only an empty one can be played", line)
			}
		}
	}
	for name := range allowed {
		l.calls = append(l.calls, name)
	}
	slices.Sort(l.calls)
	if len(l.calls) == 0 {
		return l, errors.New("no SystemCallFilter= allows anything")
	}
	return l, nil
}

// filter applies one line of SystemCallFilter=: the first one that names what is
// allowed adds what systemd always allows.
func filter(allowed map[string]bool, value string, sets map[string][]string) error {
	names, forbids := strings.CutPrefix(value, "~")
	for name := range strings.FieldsSeq("@default " + names) {
		if forbids && name == "@default" {
			continue
		}
		calls := []string{name}
		if strings.HasPrefix(name, "@") {
			if calls = sets[name]; calls == nil {
				return fmt.Errorf("SystemCallFilter=%s: this systemd has no set %s", value, name)
			}
		}
		for _, call := range calls {
			if forbids {
				delete(allowed, call)
			} else {
				allowed[call] = true
			}
		}
	}
	return nil
}

// systemCallSets asks systemd for its sets of system calls.
func systemCallSets() (map[string][]string, error) {
	var said bytes.Buffer
	cmd := exec.Command("systemd-analyze", "--no-pager", "syscall-filter") //nolint:noctx // it becomes another program soon
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("systemd-analyze syscall-filter: %w: %s", err, &said)
	}
	return parseSets(string(out)), nil
}

// parseSets reads the listing: a set's name at the start of a line, then its
// members, indented, which may be sets; comments begin with #.
func parseSets(listing string) map[string][]string {
	members := map[string][]string{}
	at := ""
	for line := range strings.SplitSeq(listing, "\n") {
		name, _, _ := strings.Cut(line, "#")
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case strings.HasPrefix(line, "@"):
			at = name
			members[at] = []string{}
		case at != "":
			members[at] = append(members[at], name)
		}
	}
	sets := map[string][]string{}
	for name := range members {
		sets[name] = expand(members, name)
	}
	return sets
}

func expand(members map[string][]string, name string) []string {
	all := []string{}
	for _, m := range members[name] {
		if strings.HasPrefix(m, "@") {
			all = append(all, expand(members, m)...)
		} else {
			all = append(all, m)
		}
	}
	return all
}

// load puts the limits on the process, for good. What they forbid fails with
// EPERM, as SystemCallErrorNumber=EPERM says.
func (l limits) load() error {
	table, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	group := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, name := range l.calls {
		conditions := l.conditions(name)
		switch _, known := table.SyscallNames[name]; {
		case !known: // of another architecture
		case conditions == nil:
			group.Names = append(group.Names, name)
		default:
			for _, c := range conditions {
				group.NamesWithCondtions = append(group.NamesWithCondtions,
					seccomp.NameWithConditions{Name: name, Conditions: seccomp.ArgumentConditions{c}})
			}
		}
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{group}}})
}

// conditions are when a call is allowed: one of them has to hold; nil is always.
func (l limits) conditions(call string) []seccomp.Condition {
	switch {
	case call == "socket" && l.families != nil:
		var named []seccomp.Condition
		for _, f := range l.families {
			named = append(named, seccomp.Condition{Argument: 0, Operation: seccomp.Equal, Value: f})
		}
		return named
	case call == "mmap" && l.writeOrExecute:
		return []seccomp.Condition{{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_WRITE},
			{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC}}
	case (call == "mprotect" || call == "pkey_mprotect") && l.writeOrExecute:
		return []seccomp.Condition{{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.PROT_EXEC}}
	}
	return nil
}
