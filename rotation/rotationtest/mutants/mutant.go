package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is the core without one rule.
type mutant struct {
	Name string
	// Rule is what the mutant lacks, in words; Where is the page that says it.
	Rule, Where string
	// Edits take the rule out.
	Edits []edit
	// Package is the folder of the test that misses the rule, Test its name.
	Package, Test string
	// InWorlds: a simulated world misses it too, and has to. Else Beyond says
	// why none does.
	InWorlds bool
	Beyond   string
}

// edit puts New in the place of Old, which File holds exactly once.
type edit struct{ File, Old, New string }

// change returns the files that the edits change, by their path below root, as
// they are to be.
func change(root string, edits []edit) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range edits {
		text, known := changed[e.File]
		if !known {
			content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, err
			}
			text = string(content)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%s holds this text %d times, it should be once: %q", e.File, n, e.Old)
		}
		changed[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return changed, nil
}

// overlay writes the changed files into dir, and the file that makes `go build
// -overlay` take them.
func overlay(root, dir string, edits []edit) (string, error) {
	changed, err := change(root, edits)
	if err != nil {
		return "", err
	}
	var list struct{ Replace map[string]string }
	list.Replace = map[string]string{}
	for i, file := range slices.Sorted(maps.Keys(changed)) {
		place := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(place, []byte(changed[file]), 0o600); err != nil {
			return "", err
		}
		list.Replace[filepath.Join(root, filepath.FromSlash(file))] = place
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	place := filepath.Join(dir, "overlay.json")
	return place, os.WriteFile(place, text, 0o600)
}
