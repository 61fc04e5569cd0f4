// Package all lists the drivers of the agent. A driver that is not listed here
// can't be declared: package mem is missing on purpose, for what it keeps ends
// with the process.
package all

import (
	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/awssecrets"
	"github.com/handover-agent/handover/backends/azurekeyvault"
	"github.com/handover-agent/handover/backends/file"
	"github.com/handover-agent/handover/backends/vault"
)

// Drivers lists every driver that a declaration can name.
func Drivers() []backends.Driver {
	return []backends.Driver{
		awssecrets.Driver(),
		azurekeyvault.Driver(),
		file.Driver(),
		vault.Driver(),
	}
}

// Registry is Drivers by type.
func Registry() (backends.Registry, error) {
	return backends.NewRegistry(Drivers()...)
}
