package rotation

import "time"

// Pruning asks for one step of deleting old events from the history. A run is
// steps one after the other, each of which goes on where the one before ended;
// between two of them the journal is free for others.
//
// What stays of each slot, however old: its last rotation. That is the newest
// event that a token was issued, all events back to the intent to issue it, and
// all events since. Of a slot without an issue in its history it is its newest
// rebuilding, and all events since. Of an account nothing stays.
type Pruning struct {
	// Before: only events of an earlier time are deleted.
	Before time.Time
	// DryRun counts, and deletes nothing.
	DryRun bool
	// Actor is who asked.
	Actor string
	// From is Pruned.Mark of the step before; the zero Mark begins.
	From Mark
	// Deleted is how many the steps before have deleted. The first that does
	// leaves an event of it.
	Deleted int64
}

// Mark is a place in the history by time.
type Mark struct {
	At string `json:"at,omitempty"`
	ID int64  `json:"id,omitempty"`
}

// Pruned is what one step of a Pruning did.
type Pruned struct {
	// Deleted and Kept count the old events of this step: those that were
	// deleted, or would be, and those of a last rotation.
	Deleted int64 `json:"deleted"`
	Kept    int64 `json:"kept"`
	// Mark is where the next step goes on; Done: there is none.
	Mark Mark `json:"mark"`
	Done bool `json:"done"`
}
