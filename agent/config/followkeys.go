package config

import (
	"time"

	"github.com/handover-agent/handover/backends/payload"
)

// The keys of a follower's file; see keys.go.

type followFileKeys struct {
	Version  int                    `yaml:"version" default:"1" enum:"1" doc:"the version of this format"`
	Backends map[string]backendKeys `yaml:"backends" required:"true" doc:"the stores to read from and the folders to write to, by a name of your choice"`
	Follow   followKeys             `yaml:"follow" required:"true" doc:"what to copy from stores to files"`
}

type followKeys struct {
	Listen  string        `yaml:"listen" default:"127.0.0.1:9633" doc:"the address of health and metrics"`
	Every   time.Duration `yaml:"every" default:"30s" doc:"the longest time until a new version is noticed; where the store can tell its version, the value is read only when that has changed"`
	URL     string        `yaml:"url" doc:"the instance as consumers get it, such as https://acme.qualytics.io; for formats that write it"`
	Entries []entryKeys   `yaml:"entries" required:"true" doc:"the values to copy"`
}

type entryKeys struct {
	From        fromKeys   `yaml:"from" required:"true" doc:"where the agent delivers the value"`
	To          toKeys     `yaml:"to" required:"true" doc:"the file to write"`
	Account     string     `yaml:"account" doc:"the account's name as the agent declares it; another account's token is not copied then"`
	Environment string     `yaml:"environment" doc:"what a template gets as .Environment"`
	OnChange    []hookKeys `yaml:"on_change" doc:"programs to run after each change of the file, and once after the start"`
}

// fromKeys is what an entry is read from: its own keys, those of the format, and
// those that the backend's driver adds to a target.
type fromKeys struct {
	Backend string `yaml:"backend" required:"true" doc:"the name of a backend declared under backends"`
	Path    string `yaml:"path" required:"true" doc:"the place in the backend"`

	spec    payload.Spec
	options any
	ok      bool
}

func (k fromKeys) target() targetKeys {
	return targetKeys{Backend: k.Backend, Path: k.Path, spec: k.spec, options: k.options, ok: k.ok}
}

// toKeys is what an entry is written to, in the same way.
type toKeys struct {
	Backend   string `yaml:"backend" required:"true" doc:"the name of a backend of type file"`
	Path      string `yaml:"path" required:"true" doc:"the file below the backend's dir"`
	OnForeign string `yaml:"on_foreign" default:"refuse" enum:"refuse|take_over" doc:"what happens to a file that holds something else than a token of the account: leave it and report, or replace it"`

	spec    payload.Spec
	options any
	ok      bool
}

func (k toKeys) target() targetKeys {
	return targetKeys{Backend: k.Backend, Path: k.Path, OnForeign: k.OnForeign, spec: k.spec, options: k.options, ok: k.ok}
}

type hookKeys struct {
	Exec    []string      `yaml:"exec" required:"true" doc:"the program's absolute path and its arguments; no shell reads them, and no token is in them or in the environment"`
	Timeout time.Duration `yaml:"timeout" default:"30s" doc:"the longest time that it may take"`
}
