package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/handover-agent/handover/agent/config"
)

// print writes v to out as -o says; table writes it for people.
func (a *app) print(v any, table func(io.Writer) error) error {
	switch a.output {
	case "json":
		return a.printJSON(v)
	case "yaml":
		return a.printYAML(v)
	}
	return table(a.out)
}

// printJSON writes v as indented JSON.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// printYAML writes v as YAML with the keys of its JSON.
func (a *app) printYAML(v any) error {
	text, err := config.YAML(v)
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// warn tells what is legal and doubtful in a declaration.
func (a *app) warn(warnings []config.Problem) {
	for _, w := range warnings {
		fmt.Fprintf(a.err, "%s:%d:%d: warning: %s\n", w.File, w.Line, w.Column, w.Message)
	}
}

// columns writes rows with their cells in step.
func columns(w io.Writer, rows ...[]any) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cell)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// number counts things: "1 slot", "2 slots".
func number(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
