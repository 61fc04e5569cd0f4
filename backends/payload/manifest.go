package payload

import (
	"encoding/base64"
	"errors"
	"path"
	"regexp"
	"strings"

	"github.com/handover-agent/handover/backends"
)

var (
	// secretName is a DNS subdomain, as the API server wants a Secret's name.
	secretName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	// namespaceName is a DNS label.
	namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// manifestShape is the manifest of a v1 Secret whose keys are names of
// variables, so that envFrom takes it as it is.
func manifestShape(spec Spec) (shape, error) {
	name := spec.Name
	if name == "" {
		name = strings.TrimSuffix(path.Base(spec.Path), path.Ext(spec.Path))
	}
	if len(name) > 253 || !secretName.MatchString(name) {
		return shape{}, wrong("name", "%q can't name a Secret; give a name of lower-case letters, digits, hyphens and dots", name)
	}
	if spec.Namespace != "" && (len(spec.Namespace) > 63 || !namespaceName.MatchString(spec.Namespace)) {
		return shape{}, wrong("namespace", "%q can't name a namespace; use lower-case letters, digits and hyphens, at most 63", spec.Namespace)
	}
	return shape{
		write: func(t backends.Token) (string, error) { return writeManifest(t, name, spec.Namespace) },
		read:  readManifest,
	}, nil
}

// writeManifest quotes every value: a JSON string is a YAML string, and a name
// such as 123 or true would else be none.
func writeManifest(t backends.Token, name, namespace string) (string, error) {
	if _, err := checkURL(t.URL); err != nil {
		return "", err
	}
	token, err := encode(t.Value.Reveal())
	if err != nil {
		return "", err
	}
	metadata := `  name: "` + name + `"` + "\n"
	if namespace != "" {
		metadata += `  namespace: "` + namespace + `"` + "\n"
	}
	return "apiVersion: v1\nkind: Secret\nmetadata:\n" + metadata + "type: Opaque\nstringData:\n" +
		"  " + urlVariable + `: "` + t.URL + `"` + "\n" +
		"  " + tokenVariable + ": " + token + "\n", nil
}

// readManifest takes the token from stringData, which the API server lets win,
// or from data, where kubectl writes it in base64.
func readManifest(payload string) (string, error) {
	kind, err := readYAML(payload, "kind")
	if err != nil || kind != "Secret" {
		return "", errOther
	}
	token, err := readYAML(payload, "stringData", tokenVariable)
	if !errors.Is(err, errAbsent) {
		return token, err
	}
	encoded, err := readYAML(payload, "data", tokenVariable)
	if err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", errOther
	}
	return readBare(string(text))
}
