//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const listing = `
@default
    # always
    execve
    mmap

@file-system
    open
    @links

@links
    symlink # one of a kind

# Unlisted System Calls, supported by the local kernel:
`

func TestParseSets(t *testing.T) {
	want := map[string][]string{"@default": {"execve", "mmap"}, "@file-system": {"open", "symlink"}, "@links": {"symlink"}}
	if diff := cmp.Diff(want, parseSets(listing)); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
}

func TestReadLimits(t *testing.T) {
	sets := parseSets(listing)
	tests := []struct {
		name, unit string
		want       limits
		fails      string
	}{
		{name: "allowed, then forbidden", unit: "SystemCallFilter=@file-system\nSystemCallFilter=~@links",
			want: limits{calls: []string{"execve", "mmap", "open"}}},
		{name: "the rest", unit: "SystemCallFilter=open\nRestrictAddressFamilies=AF_UNIX AF_INET\nMemoryDenyWriteExecute=yes\nCapabilityBoundingSet=",
			want: limits{calls: []string{"execve", "mmap", "open"}, families: []uint64{unix.AF_UNIX, unix.AF_INET}, writeOrExecute: true}},
		{name: "no filter", unit: "MemoryDenyWriteExecute=yes", fails: "no SystemCallFilter="},
		{name: "unknown set", unit: "SystemCallFilter=@everything", fails: "no set @everything"},
		{name: "unknown family", unit: "SystemCallFilter=open\nRestrictAddressFamilies=AF_CAN", fails: "AF_CAN"},
		{name: "capabilities", unit: "SystemCallFilter=open\nCapabilityBoundingSet=CAP_CHOWN", fails: "only an empty one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := readLimits(test.unit, sets)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("error %v, want %q in it", err, test.fails)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(limits{})); err != nil || diff != "" {
				t.Errorf("%v; limits (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{"nothing": nil, "no program": {"unit"}, "no unit": {"/nowhere", "true"}} {
		if err := confine(args); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
