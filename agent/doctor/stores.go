package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/handover-agent/handover/backends"
)

// look is what was seen of one target.
type look struct {
	target *backends.Target
	// written and read are why it can't be; nil when it can.
	written, read error
}

// stores asks every target whether it may be written, and reads what stands
// there. What it reads is dropped at once.
func (x *examination) stores(ctx context.Context) []Finding {
	var looks []look
	for _, s := range x.Slots {
		for _, t := range s.Targets {
			looks = append(looks, look{target: t})
		}
	}
	var all sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i := range looks {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			looks[i].ask(ctx)
		})
	}
	all.Wait()
	return judge(looks)
}

func (l *look) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.written = l.target.Check(ctx)
	_, l.read = l.target.Read(ctx, backends.Current)
}

// judge makes one finding of each backend whose targets are all well, and one of
// each other target.
func judge(looks []look) []Finding {
	var names []string
	byName := map[string][]look{}
	for _, l := range looks {
		name := backendOf(l.target)
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], l)
	}
	slices.Sort(names)
	var all []Finding
	for _, name := range names {
		all = append(all, judgeBackend(name, byName[name])...)
	}
	return all
}

func judgeBackend(name string, looks []look) []Finding {
	var bad []Finding
	away := 0
	for _, l := range looks {
		for _, err := range []error{l.written, l.read} {
			if err == nil {
				continue
			}
			bad = append(bad, fault("backend", l.target.Key(), err, ""))
			if errors.Is(backends.KindOf(err), backends.ErrUnavailable) {
				away++
			}
			break
		}
	}
	switch {
	case len(bad) == 0:
		found := fmt.Sprintf("reachable; %s may be written and read", targets(len(looks)))
		if checker, _ := backends.As[backends.Checker](looks[0].target.Backend); checker == nil {
			found = fmt.Sprintf("reachable; %s can be read; whether they may be written can't be asked", targets(len(looks)))
		}
		return []Finding{{OK, "backend", name, found, ""}}
	case away == len(looks): // it is the backend, not the places in it
		first := bad[0]
		first.On = name
		return []Finding{first}
	}
	return bad
}

func targets(n int) string {
	if n == 1 {
		return "1 target"
	}
	return fmt.Sprintf("%d targets", n)
}
