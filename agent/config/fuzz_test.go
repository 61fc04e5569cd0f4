package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// FuzzParse: whatever stands in the file, there is an answer, and every problem
// has a place that exists in the text.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/conf.*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(small))
	registry := fakeRegistry(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		declaration, err := Parse("agent.yaml", text, registry, fakeEnv)
		var problems []Problem
		var failed *Errors
		switch {
		case err == nil && declaration == nil:
			t.Fatal("neither a declaration nor an error")
		case err == nil:
			problems = declaration.Warnings
			checkUsable(t, declaration)
		case !errors.As(err, &failed) || len(failed.Problems) == 0:
			t.Fatalf("the error is %#v", err)
		default:
			problems = failed.Problems
		}
		lines := 1 + countBreaks(text)
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Message == "" || p.File != "agent.yaml" {
				t.Errorf("a problem without a place in %d lines: %#v", lines, p)
			}
			if !utf8.ValidString(p.Message) {
				t.Errorf("the message isn't text: %q", p.Message)
			}
		}
	})
}

// countBreaks counts what YAML takes for the end of a line.
func countBreaks(text []byte) int {
	n := 0
	for _, r := range string(text) {
		switch r {
		case '\n', '\r', '\u0085', '\u2028', '\u2029':
			n++
		}
	}
	return n
}

// checkUsable looks for what the agent relies on.
func checkUsable(t *testing.T, d *Declaration) {
	t.Helper()
	if d.Agent.ID == "" || d.Qualytics.URL == "" || d.Qualytics.Credential.IsZero() || d.Agent.DriftCheck <= 0 || d.Agent.Sweep <= 0 {
		t.Errorf("something is missing: %+v", d)
	}
	slots := make(map[string]bool)
	for _, account := range d.Accounts {
		for _, token := range account.Tokens {
			if slot := account.Slot(token); slots[slot] {
				t.Errorf("the slot %q stands twice", slot)
			} else {
				slots[slot] = true
			}
			if len(token.Deliver) == 0 {
				t.Errorf("%s has no targets", token.Name)
			}
			for _, target := range token.Deliver {
				if target.Format == nil || target.Ref.Backend == "" || target.Ref.Path == "" {
					t.Errorf("half a target: %+v", target)
				}
			}
			if s := token.Schedule; s.Lifetime > 0 && (s.Every <= 0 || s.Every+s.Grace+s.Hold > s.Lifetime) {
				t.Errorf("the schedule doesn't fit: %+v", s)
			}
		}
	}
}
