package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends/all"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the declaration, for editors",
		Long: `Print the JSON Schema of the declaration. An editor that knows it completes keys
and marks mistakes while you write. Put it beside the declaration, whose first
line is then: # yaml-language-server: $schema=./agent.schema.json

With -o yaml it is printed as YAML, else as JSON.`,
		Example: `  handover schema > agent.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			registry, err := all.Registry()
			if err != nil {
				return err
			}
			schema, err := config.Schema(registry)
			if err != nil {
				return err
			}
			if a.output == "yaml" {
				return a.printYAML(json.RawMessage(schema))
			}
			_, err = a.out.Write(schema)
			return err
		},
	}
}
