package payload

import (
	"maps"
	"slices"
	"time"
)

// Floors says, for each consumer that a declaration may name, how long it can
// go on with an old token after the new one was delivered: the least grace
// that doesn't break it. The facts are in consumers.md, "How long a consumer
// holds the old value". It is not to be changed.
var Floors = map[string]time.Duration{
	"airflow":      time.Hour,     // the HTTP hook reads at each request
	"cli":          time.Hour,     // a command reads when it starts
	"vault-agent":  time.Hour,     // Vault Agent, each 5 minutes
	"vso":          2 * time.Hour, // Vault Secrets Operator, each 60 seconds
	"csi":          2 * time.Hour, // Secrets Store CSI driver, each 2 minutes where rotation is on
	"aws-cache":    2 * time.Hour, // AWS's caching clients, 5 to 60 minutes
	"eso":          day,           // External Secrets Operator, each hour
	"airflow-task": day,           // a task that holds the token from its start
	"adf":          day,           // a Data Factory activity, at its start
	"dbt":          day,           // a run, at its start
	"mcp":          day,           // `qualytics mcp serve`, at its start
	"app-service":  2 * day,       // App Service, each 24 hours
	"environment":  7 * day,       // an environment or a sourced file, only at a restart
	"subpath":      7 * day,       // a subPath mount, only at a restart
	"systemd":      7 * day,       // a systemd credential, only at a restart
}

const day = 24 * time.Hour

// Consumers lists the consumers in alphabetical order.
func Consumers() []string {
	return slices.Sorted(maps.Keys(Floors))
}

// Consumer names who reads a format when the declaration doesn't say; "" where
// the format doesn't tell, or there is no such format.
func Consumer(format string) string {
	for _, k := range kinds() {
		if k.name == format {
			return k.consumer
		}
	}
	return ""
}
