package main

import (
	"errors"
	"fmt"
	"io"
)

// summary is what development mode tells at its end. The JSON keys are a
// contract (design.md, "The command line").
type summary struct {
	DeclaredDays  float64 `json:"declared_days"`
	Slots         int     `json:"slots"`
	Rotations     int     `json:"rotations"`
	Revocations   int     `json:"revocations"`
	Deletions     int     `json:"deletions"`
	Reads         int     `json:"reads"`
	RefusedReads  int     `json:"refused_reads"`
	MaxLiveTokens int     `json:"max_live_tokens_per_slot"`
	PromisesHeld  bool    `json:"promises_held"`
	// Broken says which promises did not hold, a line each.
	Broken []string `json:"broken,omitempty"`
}

// summary is the count at the end.
func (w *watch) summary() summary {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.count
	s.DeclaredDays = float64(int(w.days()*100)) / 100
	if w.complete && s.Reads == 0 {
		w.troubles = append(w.troubles, "nobody read anything")
	}
	if s.RefusedReads > 0 {
		w.troubles = append(w.troubles, fmt.Sprintf("%d reads were refused", s.RefusedReads))
	}
	s.Broken = w.troubles
	s.PromisesHeld = len(s.Broken) == 0
	return s
}

// verdict prints the summary as -o says. When the run was for a given time,
// broken promises make it fail, and so does an end before that time: what
// wasn't seen isn't proved.
func (a *app) verdict(s summary, judged, complete bool) error {
	var err error
	switch a.output {
	case "json":
		err = a.printJSON(s)
	case "yaml":
		err = a.printYAML(s)
	default:
		s.print(a.out)
	}
	switch {
	case err != nil || !judged:
		return err
	case !s.PromisesHeld:
		return &exit{code: exitFailed, err: errors.New("a promise did not hold; see above")}
	case !complete:
		return &exit{code: exitFailed, err: errors.New("it was ended before the time of --for was over")}
	}
	return nil
}

func (s summary) print(out io.Writer) {
	fmt.Fprintf(out, "\n%.2f declared days, %d slots: %d rotations, %d revocations, %d deletions.\n",
		s.DeclaredDays, s.Slots, s.Rotations, s.Revocations, s.Deletions)
	fmt.Fprintf(out, "%d reads by consumers, %d refused. At most %d live tokens of a slot.\n",
		s.Reads, s.RefusedReads, s.MaxLiveTokens)
	if s.PromisesHeld {
		fmt.Fprintln(out, "Every promise held.")
		return
	}
	for _, line := range s.Broken {
		fmt.Fprintln(out, "BROKEN:", line)
	}
}
