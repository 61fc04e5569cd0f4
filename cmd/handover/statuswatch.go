package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/handover-agent/handover/agent/report"
)

// statusWatch tells how the slots stand, again and again: drawn anew on a
// terminal, elsewhere a line for what has changed.
type statusWatch struct {
	app  *app
	wide bool
	// screen is nil where nobody looks on.
	screen *screen
	// told are the lines that were told last, by slot; "" is the agent's.
	told map[string]string
}

// watchStatus looks at every interval until ctx is done.
func (a *app) watchStatus(ctx context.Context, wide bool, interval time.Duration) error {
	w := statusWatch{app: a, wide: wide, told: map[string]string{}}
	if a.output == "table" {
		w.screen = newScreen(a.out)
	}
	return w.watch(ctx, interval, a.look)
}

// watch fails when the first look does; later ones are told, for an agent may be
// restarted meanwhile.
func (w *statusWatch) watch(ctx context.Context, interval time.Duration, look func(context.Context) (report.Document, error)) error {
	for first := true; ; first = false {
		doc, err := look(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // to be ended is how it ends
		}
		switch {
		case err == nil:
			err = w.tell(doc)
		case !first:
			fmt.Fprintln(w.app.err, "handover:", err)
			err = nil
		}
		if err != nil {
			return err
		}
		if !pause(ctx, interval) {
			return nil
		}
	}
}

// tell prints one document: for programs as one line of JSON, or one document of
// YAML.
func (w *statusWatch) tell(doc report.Document) error {
	switch {
	case w.app.output == "json":
		return json.NewEncoder(w.app.out).Encode(doc)
	case w.app.output == "yaml":
		fmt.Fprintln(w.app.out, "---")
		return w.app.printYAML(doc)
	case w.screen == nil:
		return w.lines(doc)
	}
	var text bytes.Buffer
	if err := report.WriteTable(&text, doc, w.wide); err != nil {
		return err
	}
	return w.screen.draw(text.Bytes())
}

// lines tells what has changed.
func (w *statusWatch) lines(doc report.Document) error {
	how := "agent " + doc.Agent + ": not running; this is what its journal says"
	if doc.Running {
		how = "agent " + doc.Agent + ": running"
	}
	if err := w.line(doc.Now, "", how); err != nil {
		return err
	}
	declared := map[string]bool{"": true}
	for _, s := range doc.Slots {
		declared[s.Slot] = true
		if err := w.line(doc.Now, s.Slot, progress(s)); err != nil {
			return err
		}
	}
	for slot := range w.told {
		if declared[slot] {
			continue
		}
		if err := w.line(doc.Now, slot, slot+": not declared any more"); err != nil {
			return err
		}
		delete(w.told, slot)
	}
	return nil
}

func (w *statusWatch) line(now time.Time, slot, text string) error {
	if w.told[slot] == text {
		return nil
	}
	w.told[slot] = text
	_, err := fmt.Fprintln(w.app.out, now.UTC().Format(time.RFC3339), text)
	return err
}
