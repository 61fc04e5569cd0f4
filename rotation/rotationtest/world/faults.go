package world

import (
	"maps"
	"slices"
)

// Fault is a kind of fault. Its text is its name in tables and stories.
type Fault string

// What can happen to one act of an agent.
const (
	CrashBefore  Fault = "crash before the act"
	CrashAfter   Fault = "crash after the act"
	LostBefore   Fault = "request lost"
	LostAfter    Fault = "answer lost"
	Twice        Fault = "delivered twice"
	Throttled    Fault = "throttled"
	Slow         Fault = "slow"
	LandsLate    Fault = "write lands late"
	Lagging      Fault = "list lags"
	CutShort     Fault = "list cut"
	PagedTwice   Fault = "list pages twice"
	NotValidYet  Fault = "token not valid at once"
	CommitFails  Fault = "commit fails"
	CommitUnsure Fault = "commit done, reported as failed"
)

// What happens by other hands, or to whole parts, at some time.
const (
	APIOutage        Fault = "API outage"
	StoreOutage      Fault = "store outage"
	StoreDenied      Fault = "store denies"
	DiskFull         Fault = "disk full"
	AgentDown        Fault = "agent down for long"
	TokenRevoked     Fault = "token revoked by hand"
	TokenRestored    Fault = "token restored by hand"
	TokenDeleted     Fault = "token deleted by hand"
	AccountOff       Fault = "account deactivated by hand"
	ValueDeleted     Fault = "value deleted by hand"
	ValueForeign     Fault = "foreign value written"
	ValueOther       Fault = "another token of the account written"
	ValueRolledBack  Fault = "value rolled back"
	JournalLost      Fault = "journal lost"
	JournalOld       Fault = "journal restored from an old copy"
	SecondAgent      Fault = "second agent with its own journal"
	OperatorRotates  Fault = "operator rotates"
	OperatorResumes  Fault = "operator resumes"
	OperatorAdopts   Fault = "operator adopts"
	TargetLeaves     Fault = "target leaves the declaration"
	TargetComes      Fault = "target comes back to the declaration"
	FormatChanges    Fault = "format changes"
	GraceShrinks     Fault = "grace shrinks"
	LifetimeShrinks  Fault = "lifetime shrinks"
	ConsumerHoldsOld Fault = "consumer goes on using the old token"
)

// byHand are the kinds that a world schedules, with their weights.
var byHand = []struct {
	fault  Fault
	weight int
}{
	{APIOutage, 6}, {StoreOutage, 8}, {StoreDenied, 4}, {DiskFull, 3}, {AgentDown, 3},
	{TokenRevoked, 6}, {TokenRestored, 4}, {TokenDeleted, 3}, {AccountOff, 3},
	{ValueDeleted, 6}, {ValueForeign, 5}, {ValueOther, 4}, {ValueRolledBack, 6},
	{JournalLost, 4}, {JournalOld, 4}, {SecondAgent, 3},
	{OperatorRotates, 6}, {OperatorResumes, 3}, {OperatorAdopts, 4},
	{TargetLeaves, 3}, {TargetComes, 3}, {FormatChanges, 3}, {GraceShrinks, 3}, {LifetimeShrinks, 3},
	{ConsumerHoldsOld, 4},
}

// ofAct are the kinds that can befall an act of each class, with their weights.
var ofAct = map[class][]struct {
	fault  Fault
	weight int
}{
	apiLook: {{CrashBefore, 2}, {CrashAfter, 1}, {LostBefore, 3}, {Throttled, 2}, {Slow, 2}},
	apiList: {{CrashBefore, 2}, {CrashAfter, 1}, {LostBefore, 3}, {Throttled, 2}, {Slow, 2}, {Lagging, 6}, {CutShort, 3}, {PagedTwice, 2}},
	apiMint: {{CrashBefore, 4}, {CrashAfter, 8}, {LostBefore, 4}, {LostAfter, 8}, {Twice, 5}, {Throttled, 2}, {Slow, 2}, {LandsLate, 4}, {NotValidYet, 6}},
	apiMake: {{CrashBefore, 4}, {CrashAfter, 8}, {LostBefore, 4}, {LostAfter, 8}, {Twice, 5}, {Throttled, 2}, {Slow, 2}},
	apiDeed: {{CrashBefore, 4}, {CrashAfter, 6}, {LostBefore, 4}, {LostAfter, 6}, {Twice, 3}, {Throttled, 2}, {Slow, 2}},
	get:     {{CrashBefore, 2}, {CrashAfter, 1}, {LostBefore, 4}, {Throttled, 2}, {Slow, 2}},
	put:     {{CrashBefore, 4}, {CrashAfter, 6}, {LostBefore, 4}, {LostAfter, 6}, {Throttled, 3}, {Slow, 2}, {LandsLate, 6}, {Twice, 2}},
	commit:  {{CrashBefore, 4}, {CrashAfter, 4}, {CommitFails, 4}, {CommitUnsure, 4}},
}

// Kinds lists every kind of fault.
func Kinds() []Fault {
	seen := map[Fault]bool{}
	for _, h := range byHand {
		seen[h.fault] = true
	}
	for _, list := range ofAct {
		for _, f := range list {
			seen[f.fault] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// class is what an act is, as far as its faults go.
type class int

const (
	apiLook class = iota
	apiList
	apiMint
	apiMake
	apiDeed
	get
	put
	commit
)
