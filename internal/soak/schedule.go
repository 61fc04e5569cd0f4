package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// kind is one kind of fault.
type kind string

// The kinds of faults.
const (
	kill         kind = "kill"          // kill -9 of the agent, and started again at once
	killWait     kind = "kill_wait"     // and started again after a while
	pause        kind = "pause"         // SIGSTOP and, after a while, SIGCONT
	diskFull     kind = "disk_full"     // no space is left for the journal
	vaultRestart kind = "vault_restart" // kill -9 of the Vault; it comes back sealed
	apiRestart   kind = "api_restart"   // kill -9 of the simulator
)

// toxics are what may be wrong with a wire; "down" is the wire's end.
var toxics = []string{"latency", "bandwidth", "timeout", "reset_peer", "slow_close", "limit_data", "down"}

// lane is a part of the field on which one fault follows the other. The faults
// of two lanes overlap as it comes.
type lane struct {
	name  string
	kinds []kind
}

// lanes are all kinds of faults.
func lanes() []lane {
	all := []lane{
		{"agent", []kind{kill, killWait, pause, diskFull}},
		{"servers", []kind{vaultRestart, apiRestart}},
	}
	for _, wire := range []string{apiWire, vaultWire} {
		l := lane{name: wire}
		for _, toxic := range toxics {
			l.kinds = append(l.kinds, on(wire, toxic))
		}
		all = append(all, l)
	}
	return all
}

// on is the kind of a toxic on a wire.
func on(wire, toxic string) kind { return kind(wire + "_" + toxic) }

// hit is one fault to come.
type hit struct {
	kind kind
	// after is the quiet before it, length how long it lasts.
	after, length time.Duration
	// knob draws what else the fault is free to choose.
	knob uint64
}

// shortest and longest bound the quiet before a fault and the fault. Seven
// kinds, the most that a lane has, fit into a minute.
const (
	shortest = time.Second
	longest  = 4 * time.Second
)

// dealer deals the hits of one lane. What it deals depends on nothing but seed
// and lane. It deals each kind once before any kind comes again.
type dealer struct {
	random *rand.Rand
	kinds  []kind
	deck   []kind
}

func newDealer(seed, lane uint64, kinds []kind) *dealer {
	return &dealer{random: rand.New(rand.NewPCG(seed, lane)), kinds: kinds}
}

func (d *dealer) next() hit {
	if len(d.deck) == 0 {
		d.deck = slices.Clone(d.kinds)
		d.random.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	h := hit{kind: d.deck[0], after: d.span(), length: d.span(), knob: d.random.Uint64()}
	d.deck = d.deck[1:]
	return h
}

func (d *dealer) span() time.Duration {
	return shortest + time.Duration(d.random.Int64N(int64(longest-shortest)))
}
