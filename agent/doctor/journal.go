package doctor

import "context"

// journal looks at the place where the agent remembers.
func (x *examination) journal(ctx context.Context) []Finding {
	at := x.Journal.Path()
	holder, err := x.Journal.Inspect(ctx)
	switch {
	case err != nil:
		return []Finding{fault("journal", at, err, "")}
	case holder != "":
		return []Finding{{OK, "journal", at, "a running agent has it open: " + holder, ""}}
	}
	return []Finding{{OK, "journal", at, "it can be opened and written; no agent runs on it now", ""}}
}
