package world

import (
	"maps"
	"slices"

	"github.com/handover-agent/handover/rotation"
)

// Fault is a kind of fault. Its text is its name in tables and stories.
type Fault string

// What can happen to one act of an agent.
const (
	CrashBefore  Fault = "crash before the act"
	CrashAfter   Fault = "crash after the act"
	Stopped      Fault = "process or machine stood still before the act"
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
	NeverValid   Fault = "token never valid"
	Refused      Fault = "order refused"
	CommitFails  Fault = "commit fails"
	CommitUnsure Fault = "commit done, reported as failed"
)

// What happens by other hands, or to whole parts, at some time.
const (
	APIOutage        Fault = "API outage"
	StoreOutage      Fault = "store outage"
	StoreDenied      Fault = "store denies"
	StoreEmptied     Fault = "volatile store emptied"
	DiskFull         Fault = "disk full"
	AgentDown        Fault = "agent down for long"
	ClockWrong       Fault = "local clock wrong at the start"
	ClockSteps       Fault = "local clock set ahead"
	TokenRevoked     Fault = "token revoked by hand"
	TokenRestored    Fault = "token restored by hand"
	TokenDeleted     Fault = "token deleted by hand"
	AccountOff       Fault = "account deactivated by hand"
	AccountDeleted   Fault = "account deleted by hand"
	ValueDeleted     Fault = "value deleted by hand"
	ValueForeign     Fault = "foreign value written"
	ValueOther       Fault = "another token of the account written"
	ValueSlipped     Fault = "value changed under its metadata"
	ValueRolledBack  Fault = "value rolled back"
	JournalLost      Fault = "journal lost"
	JournalOld       Fault = "journal restored from an old copy"
	SecondAgent      Fault = "second agent with its own journal"
	OperatorRotates  Fault = "operator rotates"
	OperatorResumes  Fault = "operator resumes"
	OperatorAdopts   Fault = "operator adopts"
	OperatorAlarms   Fault = "operator's emergency"
	OperatorKills    Fault = "operator's emergency, revoking first"
	OperatorPauses   Fault = "operator pauses"
	OperatorRestores Fault = "operator restores a token"
	TargetLeaves     Fault = "target leaves the declaration"
	TargetComes      Fault = "target comes to the declaration"
	TargetMoves      Fault = "target moves to another path"
	FormatChanges    Fault = "format changes"
	GraceShrinks     Fault = "grace shrinks"
	LifetimeShrinks  Fault = "lifetime shrinks"
	ConsumerHoldsOld Fault = "consumer goes on using the old token"
	LastUsedLate     Fault = "last_used moves late"
	NamesReserved    Fault = "names of deleted tokens stay taken"
)

// weighted is a kind with its weight in a draw.
type weighted struct {
	fault  Fault
	weight int
}

// byHand are the kinds that a world schedules.
var byHand = []weighted{
	{APIOutage, 6}, {StoreOutage, 8}, {StoreDenied, 4}, {StoreEmptied, 7}, {DiskFull, 3}, {AgentDown, 3}, {ClockWrong, 4}, {ClockSteps, 4},
	{TokenRevoked, 6}, {TokenRestored, 4}, {TokenDeleted, 3}, {AccountOff, 3}, {AccountDeleted, 3},
	{ValueDeleted, 6}, {ValueForeign, 5}, {ValueOther, 4}, {ValueSlipped, 3}, {ValueRolledBack, 6},
	{JournalLost, 4}, {JournalOld, 4}, {SecondAgent, 3},
	{TargetLeaves, 6}, {TargetComes, 7}, {TargetMoves, 3}, {FormatChanges, 3}, {GraceShrinks, 3}, {LifetimeShrinks, 3},
	{ConsumerHoldsOld, 4}, {LastUsedLate, 3}, {NamesReserved, 3},
}

// byOperator are the kinds that only a world with an operator has.
var byOperator = []weighted{{OperatorRotates, 8}, {OperatorResumes, 8}, {OperatorAdopts, 8}, {OperatorAlarms, 12}, {OperatorKills, 8},
	{OperatorPauses, 8}, {OperatorRestores, 8}}

// class is what an act is, as far as its faults go.
type class int

// classes is how many there are.
const classes = int(commit) + 1

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

// toProcess are the kinds that can befall every act.
var toProcess = []weighted{{CrashBefore, 3}, {CrashAfter, 4}, {Stopped, 2}}

// ofAct are the kinds that can befall an act of each class.
var ofAct = map[class][]weighted{
	apiLook: with(weighted{LostBefore, 3}, weighted{Throttled, 2}, weighted{Slow, 2}),
	apiList: with(weighted{LostBefore, 3}, weighted{Throttled, 2}, weighted{Slow, 2}, weighted{Lagging, 6}, weighted{CutShort, 3}, weighted{PagedTwice, 2}),
	apiMint: with(weighted{LostBefore, 4}, weighted{LostAfter, 8}, weighted{Twice, 5}, weighted{Throttled, 2}, weighted{Slow, 2},
		weighted{LandsLate, 4}, weighted{NotValidYet, 6}, weighted{NeverValid, 3}, weighted{Refused, 2}),
	apiMake: with(weighted{LostBefore, 4}, weighted{LostAfter, 8}, weighted{Twice, 5}, weighted{Throttled, 2}, weighted{Slow, 2}),
	apiDeed: with(weighted{LostBefore, 4}, weighted{LostAfter, 6}, weighted{Twice, 3}, weighted{Throttled, 2}, weighted{Slow, 2}),
	get:     with(weighted{LostBefore, 4}, weighted{Throttled, 2}, weighted{Slow, 2}),
	put:     with(weighted{LostBefore, 4}, weighted{LostAfter, 6}, weighted{Throttled, 3}, weighted{Slow, 2}, weighted{LandsLate, 6}, weighted{Twice, 2}),
	commit:  with(weighted{CommitFails, 4}, weighted{CommitUnsure, 4}),
}

func with(own ...weighted) []weighted { return append(slices.Clone(toProcess), own...) }

// Kinds lists every kind of fault.
func Kinds() []Fault {
	seen := map[Fault]bool{}
	for _, w := range slices.Concat(byHand, byOperator) {
		seen[w.fault] = true
	}
	for _, list := range ofAct {
		for _, w := range list {
			seen[w.fault] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// chanceOf is how likely an act meets a fault while the world is stormy. Where
// acts are rare, faults are likely.
func chanceOf(c class, s rotation.SlotState) float64 {
	if s == rotation.SlotBlocked && c >= apiMint && c <= put && c != get {
		return 0.5
	}
	if s == retiring && c == put { // an old version that is taken away
		return 0.06
	}
	return chances[s]
}

// chances are by the state of the act's slot.
var chances = map[rotation.SlotState]float64{rotation.SlotNew: 0.12, rotation.SlotIssuing: 0.1, rotation.SlotDelivering: 0.04,
	rotation.SlotCurrent: 0.03, retiring: 0.03, rotation.SlotBlocked: 0.12}
