package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"
)

// YAML writes v as YAML, with the keys and the order that its JSON has. It
// stands here because one package alone imports the YAML library.
func YAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil { // JSON is YAML
		return nil, fmt.Errorf("turn JSON into YAML: %w", err)
	}
	block(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// bare is text that needs no quotes; oldBool is read as true or false by
// programs that follow YAML 1.1.
var (
	bare    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.@/-]*$`)
	oldBool = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off)$`)
)

// block takes JSON's look away: braces, brackets, quotes where none are needed.
func block(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || bare.MatchString(n.Value) && !oldBool.MatchString(n.Value) {
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}
