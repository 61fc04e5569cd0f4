package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// JSON is the notice as a program reads it.
func (n Notice) JSON() ([]byte, error) { return json.Marshal(n) }

// slackText takes out what means something to Slack (docs.slack.dev, "Formatting
// message text", "Escaping text").
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Slack is the notice as an incoming webhook of Slack takes it, and of what
// looks like it.
func (n Notice) Slack() ([]byte, error) {
	return json.Marshal(map[string]string{"text": slackText.Replace(fmt.Sprintf("Handover %s: %s", n.Agent, n.Text))})
}

// ID names the notice: the same for each attempt to send it.
func (n Notice) ID() string {
	sum := sha256.Sum256([]byte(key(n.Agent, n.Event, n.At.UnixNano(), n.Text)))
	return "msg_" + hex.EncodeToString(sum[:16])
}
