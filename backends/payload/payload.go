// Package payload holds the formats: the shapes in which consumers read a
// token. Each one renders a [backends.Token] byte for byte as its consumer
// expects it, and finds the token again in a payload of that shape, whoever
// wrote it.
//
// The facts come from consumers.md; docs/formats.md is the operator's side.
package payload

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/handover-agent/handover/backends"
)

// The types of backends that change the shape of a payload. Every other type
// stores a payload as one text and gets the plain shapes.
const (
	vault = "vault"
	aws   = "aws-secrets-manager"
	azure = "azure-key-vault"
	file  = "file"
)

// Spec is the part of a declared target that chooses the shape. The tags are
// those of [backends.Driver]; BackendType and Path are filled by the caller
// from the target's backend and path.
type Spec struct {
	Format       string `yaml:"format" required:"true" enum:"token|bearer|json|dotenv|airflow-connection|airflow-variable|qualytics-cli|kubernetes-secret|template" doc:"the shape in which the consumer reads the token"`
	Style        string `yaml:"style" enum:"uri|json|fields|multi|env" doc:"airflow-connection: how the connection is written; left out, it is multi in Vault, json in AWS and Azure and in a file named .json, env in a file named .env, and uri elsewhere"`
	ConnectionID string `yaml:"connection_id" doc:"airflow-connection in a local secrets file: the id of the connection; left out, it is qualytics_default"`
	Variable     string `yaml:"variable" doc:"dotenv: the name of the token's variable; left out, it is QUALYTICS_TOKEN"`
	Template     string `yaml:"template" doc:"template: a Go text/template over .Token .URL .APIURL .Account .AccountID .TokenID .TokenName .Expiration .Environment"`
	Name         string `yaml:"name" doc:"kubernetes-secret: the Secret's name; left out, it is the last element of the path without its extension"`
	Namespace    string `yaml:"namespace" doc:"kubernetes-secret: the Secret's namespace; left out, the manifest names none"`
	BackendType  string `yaml:"-"`
	Path         string `yaml:"-"`
}

// SpecError says what is wrong with one key of a Spec, and what to do.
type SpecError struct {
	// Key is the YAML key, as "style".
	Key string
	// Says is the mistake and the remedy.
	Says string
}

// Error names the key, then the mistake.
func (e *SpecError) Error() string { return e.Key + ": " + e.Says }

func wrong(key, format string, args ...any) *SpecError {
	return &SpecError{Key: key, Says: fmt.Sprintf(format, args...)}
}

// kind is one row of the table of formats.
type kind struct {
	name string
	// consumer is who reads this format when the declaration doesn't say; ""
	// where anybody may.
	consumer string
	// keys are the keys of Spec, beside format, that mean something here.
	keys []string
	make func(Spec) (shape, error)
}

// kinds is a function, for a row's make may ask for the table.
func kinds() []kind {
	return []kind{
		{name: "token", make: tokenShape},
		{name: "bearer", consumer: "adf", make: bearerShape},
		{name: "json", make: jsonShape},
		{name: "dotenv", consumer: "environment", keys: []string{"variable"}, make: dotenvShape},
		{name: "airflow-connection", consumer: "airflow", keys: []string{"style", "connection_id"}, make: connectionShape},
		{name: "airflow-variable", consumer: "airflow-task", make: variableShape},
		{name: "qualytics-cli", consumer: "cli", make: cliShape},
		{name: "kubernetes-secret", consumer: "environment", keys: []string{"name", "namespace"}, make: manifestShape},
		{name: "template", keys: []string{"template"}, make: templateShape},
	}
}

// Names lists the formats in the order of the manual.
func Names() []string {
	all := kinds()
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.name
	}
	return names
}

// New makes the format that spec chooses. Its errors are *[SpecError], joined
// where there are several.
func New(spec Spec) (backends.Format, error) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == spec.Format })
	switch {
	case spec.Format == "":
		return nil, wrong("format", "it is missing; choose one of %s", strings.Join(Names(), ", "))
	case i < 0:
		return nil, wrong("format", "there is no format %q; choose one of %s", spec.Format, strings.Join(Names(), ", "))
	}
	made, err := all[i].make(spec)
	if err = errors.Join(idle(spec, all[i].keys), err); err != nil {
		return nil, single(err)
	}
	return made, nil
}

// idle reports the keys of spec that are set and mean nothing in its format: a
// person who wrote one expects something of it.
func idle(spec Spec, keys []string) error {
	var all []error
	for _, set := range []struct{ key, value string }{
		{"style", spec.Style},
		{"connection_id", spec.ConnectionID},
		{"variable", spec.Variable},
		{"template", spec.Template},
		{"name", spec.Name},
		{"namespace", spec.Namespace},
	} {
		if set.value != "" && !slices.Contains(keys, set.key) {
			all = append(all, wrong(set.key, "it means nothing in the format %s; remove it", spec.Format))
		}
	}
	return errors.Join(all...)
}

// single flattens a join of joins, and takes a lone error out of it.
func single(err error) error {
	flat := flatten(err)
	if len(flat) == 1 {
		return flat[0]
	}
	return errors.Join(flat...)
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var flat []error
	for _, e := range joined.Unwrap() {
		flat = append(flat, flatten(e)...)
	}
	return flat
}
