package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"
	"time"
)

// result is what became of one mutant.
type result struct {
	Name  string `json:"name"`
	Rule  string `json:"rule"`
	Where string `json:"where"`
	// Test is the test that is to miss the rule.
	Test string `json:"test"`
	// TestFails: it does.
	TestFails bool `json:"test_fails"`
	// Seed is the first world that breaks, 0 when none did; Worlds is how
	// many were played.
	Seed   uint64 `json:"seed,omitempty"`
	Worlds uint64 `json:"worlds,omitempty"`
	// Spins: that world had no end.
	Spins bool `json:"spins,omitempty"`
	// InWorlds: a world is to miss it. Beyond is why none can.
	InWorlds bool   `json:"in_worlds"`
	Beyond   string `json:"beyond,omitempty"`
	// Problem is why there is no verdict; "" when there is one.
	Problem string `json:"problem,omitempty"`
}

// lives reports whether the mutant wasn't found out: by its test, or by a world
// where one is to miss it.
func (r result) lives() bool {
	return r.Problem != "" || !r.TestFails || r.InWorlds && r.Seed == 0
}

// trial is one run of the command.
type trial struct {
	bench    *bench
	opt      options
	baseline built
}

// try tries the mutants, after their tests without any change. It returns a
// result for each, in their order.
func try(ctx context.Context, chosen []mutant, opt options, progress io.Writer) ([]result, error) {
	b, err := newBench(ctx)
	if err != nil {
		return nil, err
	}
	defer b.close()
	t := &trial{bench: b, opt: opt}
	if err := t.tryBaseline(ctx, chosen, progress); err != nil {
		return nil, err
	}
	results := make([]result, len(chosen))
	var mu sync.Mutex // progress and done
	done := 0
	each(opt.jobs, len(chosen), func(i int) {
		began := time.Now()
		r := t.try(ctx, chosen[i])
		results[i] = r
		mu.Lock()
		defer mu.Unlock()
		done++
		if ctx.Err() == nil {
			fmt.Fprintf(progress, "%d of %d: %s, %.1f s\n", done, len(chosen), r.tell(), time.Since(began).Seconds())
		}
	})
	return results, ctx.Err()
}

// each calls do for 0 to n-1, so many at a time.
func each(jobs, n int, do func(int)) {
	var all sync.WaitGroup
	turn := make(chan struct{}, jobs)
	for i := range n {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			do(i)
		})
	}
	all.Wait()
}

// tryBaseline runs the tests of the chosen mutants on the core as it is.
func (t *trial) tryBaseline(ctx context.Context, chosen []mutant, progress io.Writer) error {
	packages := []string{worldPackage}
	var tests []mutant // one for each test
	for _, m := range chosen {
		packages = append(packages, m.Package)
		if !slices.ContainsFunc(tests, func(known mutant) bool { return known.Package == m.Package && known.Test == m.Test }) {
			tests = append(tests, m)
		}
	}
	slices.Sort(packages)
	var err error
	if t.baseline, err = t.bench.build(ctx, "baseline", nil, slices.Compact(packages)...); err != nil {
		return fmt.Errorf("the core as it is: %w", err)
	}
	wrong := make([]error, len(tests))
	each(t.opt.jobs, len(tests), func(i int) {
		failed, err := t.baseline.test(ctx, tests[i].Package, tests[i].Test)
		if err == nil && failed {
			err = fmt.Errorf("%s fails on the core as it is", tests[i].test())
		}
		wrong[i] = err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%d tests pass on the core as it is; %d mutants\n", len(tests), len(chosen))
	return nil
}

// test is the test's name, with its package.
func (m mutant) test() string { return path.Base(m.Package) + "." + m.Test }

// try builds a mutant, runs its test and plays its worlds.
func (t *trial) try(ctx context.Context, m mutant) result {
	r := result{Name: m.Name, Rule: m.Rule, Where: m.Where, Test: m.test(), InWorlds: m.InWorlds, Beyond: m.Beyond}
	if err := t.judge(ctx, m, &r); err != nil {
		r.Problem = err.Error()
	}
	return r
}

func (t *trial) judge(ctx context.Context, m mutant, r *result) error {
	packages := []string{m.Package, worldPackage}
	worlds := m.InWorlds || t.opt.every
	if !worlds {
		packages = packages[:1]
	}
	made, err := t.bench.build(ctx, m.Name, m.Edits, packages...)
	defer made.remove()
	if err != nil {
		return err
	}
	if r.TestFails, err = made.test(ctx, m.Package, m.Test); err != nil || !worlds {
		return err
	}
	p, err := made.play(ctx, t.opt.worlds)
	r.Seed, r.Worlds, r.Spins = p.seed, p.worlds, p.spins
	if err != nil || r.Seed == 0 {
		return err
	}
	holds, err := t.baseline.holds(ctx, r.Seed)
	if err == nil && !holds {
		err = fmt.Errorf("world %d breaks on the core as it is: that comes first", r.Seed)
	}
	return err
}
