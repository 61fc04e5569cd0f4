package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// fullDisk is what the agent says of one.
const fullDisk = "the disk is full"

// mostSaid bounds how many lines of the agent's log make failures.
const mostSaid = 5

// troubles are the lines of the agent's log that no fault explains: an error,
// which the agent calls what it can't have done right, or the end of a Go
// program that went wrong.
func troubles(log io.Reader) ([]string, error) {
	var found []string
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := lines.Text(); troubling(line) && len(found) < mostSaid {
			found = append(found, fmt.Sprintf("the agent said %.500s", line))
		}
	}
	return found, lines.Err()
}

func troubling(line string) bool {
	for _, crash := range []string{"panic:", "fatal error:", "unexpected fault address", "WARNING: DATA RACE"} {
		if strings.HasPrefix(line, crash) {
			return true
		}
	}
	return strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, fullDisk)
}
