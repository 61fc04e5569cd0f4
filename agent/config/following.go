package config

import (
	"time"
)

// Following is the declaration of a follower that passed every check, with
// defaults filled in, paths rooted and formats made. A follower has no access
// to Qualytics: it copies what stands in a store to files.
type Following struct {
	// Listen is the host:port of health and metrics.
	Listen string
	// Every is the longest time until a new version is noticed; at least a
	// second.
	Every time.Duration
	// Backends are in the order of their names.
	Backends []Backend
	// Entries are in the order of the file; there is at least one.
	Entries []Entry
	// Warnings are what is legal and doubtful, sorted by place.
	Warnings []Problem
}

// Entry is one value that is followed.
type Entry struct {
	// From is read and never written.
	From Target
	// To is a file.
	To Target
	// URL is the instance as consumers get it; "" where nothing in To's
	// format needs it.
	URL string
	// Account is the declared name of the account whose tokens these are,
	// AccountID the id made from it; "" where any account's token is copied.
	Account, AccountID string
	// Environment is what a template may show; may be "".
	Environment string
	// OnChange are run in this order after each change of the file.
	OnChange []Hook
}

// Hook is a program to run.
type Hook struct {
	// Exec is the program's path and its arguments. No shell reads them.
	Exec []string
	// Timeout is the longest time that it may take; at least a second.
	Timeout time.Duration
}
