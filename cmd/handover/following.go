package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/follow"
	"github.com/handover-agent/handover/backends/all"
)

func (a *app) followCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "follow",
		Short: "Copy delivered tokens from a store to files, beside their consumer",
		Long: `Copy tokens that an agent delivers into a store to files, as a sidecar of their
consumer does. It has no access to Qualytics: it issues nothing and revokes
nothing, so that any number of followers may run. Its declaration is a file of
its own, with the key follow.

It notices a new version within follow.every. A store that is away, and a value
that can't be understood or is somebody else's, leave the last good value in
place. It serves health and metrics at follow.listen; it is ready once every
file holds a value. It runs until SIGTERM or SIGINT; a change of its declaration
takes a restart.

With --once it looks once, prints how the files stand, and ends: with 0 when all
of them hold what their store holds, else with 3.`,
		Example: `  handover follow -c follow.yaml
  handover follow -c follow.yaml --once -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runFollower(cmd.Context(), once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "look at each entry once, then end")
	return cmd
}

func (a *app) runFollower(ctx context.Context, once bool) (err error) {
	a.collectEarly()
	registry, err := all.Registry()
	if err != nil {
		return err
	}
	d, err := config.LoadFollowing(a.configFile, registry, a.env)
	if err != nil {
		return err
	}
	log := a.logger()
	logWarnings(log, d.Warnings)
	service, err := follow.Open(ctx, d, version(), log)
	if err != nil {
		return err
	}
	defer func() { err = also(err, service.Close()) }()
	if !once {
		return service.Serve(ctx)
	}
	behind := service.Once(ctx)
	status := service.Status()
	if err := a.print(status, followed(status).write); err != nil {
		return err
	}
	if behind > 0 {
		return &exit{code: exitPartly}
	}
	return nil
}

// followed is a follower's status as a table.
type followed follow.Status

func (f followed) write(w io.Writer) error {
	rows := [][]any{{"FROM", "TO", "STATE", "REASON"}}
	for _, e := range f.Entries {
		rows = append(rows, []any{e.From, e.To, e.State, e.Reason})
	}
	if err := columns(w, rows...); err != nil {
		return err
	}
	for _, e := range f.Entries {
		for _, said := range []string{e.Error, e.HookError} {
			if said == "" {
				continue
			}
			if _, err := fmt.Fprintf(w, "%s: %s\n", e.To, said); err != nil {
				return err
			}
		}
	}
	return nil
}
