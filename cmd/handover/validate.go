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
with its line and column and what to do. It needs no network and no credential.
It exits with 78 when something is wrong; a warning is not wrong.`,
		Example: `  handover validate
  handover validate -c production.yaml -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.validate() },
	}
}

func (a *app) validate() error {
	v := judgement{File: a.configFile, Errors: []problem{}, Warnings: []problem{}}
	d, err := a.load()
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
		v.Valid, v.Accounts, v.Warnings = true, len(d.Accounts), problems(d.Warnings)
		for _, p := range d.Policies() {
			v.Slots++
			v.Targets += len(p.Targets)
		}
		a.warn(d)
	}
	return errors.Join(a.print(v, v.write), err)
}

func (v judgement) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s is valid: %s, %s, %s, %s\n", v.File, number(v.Accounts, "account"),
		number(v.Slots, "slot"), number(v.Targets, "target"), number(len(v.Warnings), "warning"))
	return err
}

func problems(found []config.Problem) []problem {
	all := make([]problem, len(found))
	for i, p := range found {
		all[i] = problem{Line: p.Line, Column: p.Column, Key: p.Key, Message: p.Message}
	}
	return all
}
