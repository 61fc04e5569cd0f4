package main

import (
	"strings"
	"testing"
)

// TestTroubles: what a full disk explains is no trouble.
func TestTroubles(t *testing.T) {
	const wanted = `{"time":"t","level":"ERROR","msg":"pass failed","error":"slot a@service/x: no end after 1000 steps"}`
	log := strings.Join([]string{
		`{"time":"t","level":"WARN","msg":"target not read","error":"get vault/x: unavailable: EOF"}`,
		`{"time":"t","level":"ERROR","msg":"pass failed","error":"commit intended: the disk is full: database or disk is full (13)"}`,
		wanted,
		`panic: runtime error: index out of range [recovered, repanicked]`,
		`goroutine 1 [running]:`,
	}, "\n")
	found, err := troubles(strings.NewReader(log))
	if err != nil || len(found) != 2 || found[0] != "the agent said "+wanted || !strings.Contains(found[1], "panic: runtime error") {
		t.Errorf("%v, %v", found, err)
	}
	if found, err := troubles(strings.NewReader(strings.Repeat(wanted+"\n", 100))); err != nil || len(found) != mostSaid {
		t.Errorf("of 100 troubles %d are told; %v", len(found), err)
	}
	if _, err := troubles(strings.NewReader(strings.Repeat("x", 2<<20))); err == nil {
		t.Error("a log that can't be read is well")
	}
}
