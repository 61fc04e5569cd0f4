package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// tell is a result as one line of progress.
func (r result) tell() string {
	switch {
	case r.Problem != "":
		return r.Name + ": " + r.Problem
	case !r.TestFails:
		return r.Name + " LIVES: " + r.Test + " doesn't miss it"
	case r.InWorlds && r.Seed == 0:
		return fmt.Sprintf("%s LIVES: none of %d worlds misses it", r.Name, r.Worlds)
	case r.Seed != 0:
		return r.Name + ": missed by " + r.Test + " and " + r.missedAt()
	}
	return r.Name + ": missed by " + r.Test
}

// missedAt says which world misses the rule: they are played in the order of
// their seeds, so that it is also after how many.
func (r result) missedAt() string {
	switch {
	case r.Problem != "":
		return "no verdict"
	case r.Spins:
		return fmt.Sprintf("world %d, which spins", r.Seed)
	case r.Seed != 0:
		return fmt.Sprintf("world %d", r.Seed)
	case r.Worlds != 0:
		return fmt.Sprintf("none of %d", r.Worlds)
	case r.Beyond != "":
		return "beyond worlds"
	}
	return "no world"
}

// missedBy says which test misses the rule.
func (r result) missedBy() string {
	switch {
	case r.Problem != "":
		return "no verdict"
	case r.TestFails:
		return r.Test
	}
	return "not " + r.Test
}

// writeTable writes a line for each mutant, the reasons of the exceptions, the
// problems, and a sum.
func writeTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WITHOUT\tMISSED BY\tFIRST MISSED IN\tTHE RULE\tSAID IN")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Name, r.missedBy(), r.missedAt(), r.Rule, r.Where)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	tested, played, beyond, lives := 0, 0, 0, 0
	for _, r := range results {
		switch {
		case r.Problem != "":
			fmt.Fprintf(w, "\n%s: %s\n", r.Name, r.Problem)
		case r.Beyond != "":
			fmt.Fprintf(w, "\n%s is beyond worlds: %s\n", r.Name, r.Beyond)
		}
		tested += count(r.TestFails)
		played += count(r.Seed != 0)
		beyond += count(r.Beyond != "")
		lives += count(r.lives())
	}
	_, err := fmt.Fprintf(w, "\n%d mutants: %d missed by a test, %d by a world, %d beyond worlds, %d live\n",
		len(results), tested, played, beyond, lives)
	return err
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func writeJSON(w io.Writer, results []result) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		Mutants []result `json:"mutants"`
	}{results})
}
