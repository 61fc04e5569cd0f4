package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
)

// judgement is what validate prints.
type judgement struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Accounts int       `json:"accounts"`
	Slots    int       `json:"slots"`
	Targets  int       `json:"targets"`
	Entries  int       `json:"entries"`
	Errors   []problem `json:"errors"`
	Warnings []problem `json:"warnings"`
}

// problem is a config.Problem as data.
type problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Key     string `json:"key"`
	Message string `json:"message"`
}

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the declaration",
		Long: `Check the declaration, and tell everything that is wrong with it at once, each
with its line and column and what to do: an agent's file, or a follower's, which
has the key follow. It needs no network and no credential.
It exits with 78 when something is wrong; a warning is not wrong.`,
		Example: `  handover validate
  handover validate -c production.yaml -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.validate() },
	}
}

func (a *app) validate() error {
	v := judgement{File: a.configFile, Errors: []problem{}, Warnings: []problem{}}
	d, err := a.loadDocument()
	var wrong *config.Errors
	switch {
	case errors.As(err, &wrong):
		if a.output == "table" {
			return err
		}
		v.Errors = problems(wrong.Problems)
		err = &exit{code: exitDeclaration}
	case err != nil:
		return err
	default:
		v.Valid, v.Warnings = true, problems(d.Warnings())
		v.count(d)
		a.warn(d.Warnings())
	}
	return errors.Join(a.print(v, v.write), err)
}

// count says how much the file declares.
func (v *judgement) count(d config.Document) {
	if d.Follower != nil {
		v.Entries = len(d.Follower.Entries)
		return
	}
	v.Accounts = len(d.Agent.Accounts)
	for _, p := range d.Agent.Policies() {
		v.Slots++
		v.Targets += len(p.Targets)
	}
}

func (v judgement) write(w io.Writer) error {
	declares := fmt.Sprintf("%s, %s, %s", number(v.Accounts, "account"), number(v.Slots, "slot"), number(v.Targets, "target"))
	if v.Entries > 0 {
		declares = fmt.Sprintf("%s to follow", entries(v.Entries))
	}
	_, err := fmt.Fprintf(w, "%s is valid: %s, %s\n", v.File, declares, number(len(v.Warnings), "warning"))
	return err
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func problems(found []config.Problem) []problem {
	all := make([]problem, len(found))
	for i, p := range found {
		all[i] = problem{Line: p.Line, Column: p.Column, Key: p.Key, Message: p.Message}
	}
	return all
}
