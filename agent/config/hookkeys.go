package config

import (
	"time"

	"github.com/handover-agent/handover/backends/secret"
)

// The keys of those who are told; see keys.go.

// tellKeys are the keys of a hook of an agent.
type tellKeys struct {
	Exec    []string      `yaml:"exec" doc:"a program's absolute path and its arguments; no shell reads them, and no token is in them or in the environment"`
	Webhook string        `yaml:"webhook" doc:"instead of exec, a URL to post JSON to; plain http only to a loopback address"`
	Secret  secret.Source `yaml:"secret" doc:"where the secret stands that signs what is posted"`
	CAFile  string        `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust for the webhook instead of the system's"`
	Timeout time.Duration `yaml:"timeout" default:"30s" doc:"the longest time that it may take, all attempts of a webhook together; 1s to 10m"`
}

type deliveryHookKeys struct {
	tellKeys
	Required bool `yaml:"required" default:"false" doc:"no older token is revoked before it has succeeded for every target"`
}

// notifyKeys is one entry of notify.
type notifyKeys struct {
	URL     string        `yaml:"url" doc:"the URL to post to; plain http only to a loopback address"`
	URLFrom secret.Source `yaml:"url_from" doc:"instead of url, where a URL stands that is a secret, as those of Slack are"`
	Format  string        `yaml:"format" default:"json" enum:"json|slack" doc:"what is posted: an object for programs, or {\"text\": …} for Slack and what takes the same"`
	Secret  secret.Source `yaml:"secret" doc:"where the secret stands that signs what is posted"`
	CAFile  string        `yaml:"ca_file" path:"true" doc:"a PEM file with the certificates to trust instead of the system's"`
	Timeout time.Duration `yaml:"timeout" default:"30s" doc:"the longest time that it may take, all attempts together; 1s to 10m"`
	Events  []string      `yaml:"events" enum:"blocked|hold|emergency|expiring|drift|foreign" doc:"what is told; left out, all of it"`
	Every   time.Duration `yaml:"every" default:"24h" doc:"how long after it was told what still is so is told again; at least 1m"`
}
