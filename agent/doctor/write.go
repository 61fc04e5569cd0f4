package doctor

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Write tells the report to people, a line each.
func Write(w io.Writer, r Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		text := f.Found
		if f.Remedy != "" {
			text += "; " + f.Remedy
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Verdict, f.Check, f.On, text)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d ok, %d to look at, %d at fault\n", r.Counts[OK], r.Counts[Warning], r.Counts[Fault])
	return err
}
