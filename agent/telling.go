package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/rotation"
)

// tokenHooks are the hooks of one slot, in the order of its policy.
type tokenHooks struct{ onDelivery, onRevocation []rotation.Hook }

// openHooks makes what the hooks of a token do. Tokens that share a list share
// what it does.
func (w *declared) openHooks(token config.Token, version string, made map[*config.TokenHook][]rotation.Hook) (all tokenHooks, err error) {
	if all.onDelivery, err = w.openList(token.OnDelivery, version, made); err != nil {
		return all, err
	}
	all.onRevocation, err = w.openList(token.OnRevocation, version, made)
	return all, err
}

func (w *declared) openList(list []config.TokenHook, version string, made map[*config.TokenHook][]rotation.Hook) ([]rotation.Hook, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if known, ok := made[&list[0]]; ok {
		return known, nil
	}
	all := make([]rotation.Hook, len(list))
	for i, h := range list {
		if h.Webhook == "" {
			all[i] = program{hooks.Exec{Argv: h.Exec, Timeout: h.Timeout, Silent: true}}
			continue
		}
		to, err := hooks.NewWebhook(hooks.WebhookOptions{URL: h.Webhook, Secret: h.Secret, CAFile: h.CAFile, Timeout: h.Timeout,
			UserAgent: "handover/" + version})
		if err != nil {
			return nil, fmt.Errorf("open webhook %s: %w", h.Name, err)
		}
		w.webhooks = append(w.webhooks, to)
		all[i] = webhook{to}
	}
	made[&list[0]] = all
	return all, nil
}

// program is a hook that runs a program.
type program struct{ exec hooks.Exec }

// Run implements rotation.Hook.
func (p program) Run(ctx context.Context, call rotation.HookCall) error {
	return p.exec.Run(ctx, facts(call))
}

// facts are the variables that a program gets. None holds a secret.
func facts(call rotation.HookCall) map[string]string {
	all := map[string]string{
		"HANDOVER_AFTER": string(call.After), "HANDOVER_AT": call.At.Format(time.RFC3339), "HANDOVER_AGENT": call.Agent,
		"HANDOVER_SLOT": call.Slot, "HANDOVER_ACCOUNT": call.Account, "HANDOVER_TOKEN_NAME": call.TokenName,
		"HANDOVER_ENVIRONMENT": call.Environment, "HANDOVER_GENERATION": strconv.FormatUint(call.Generation, 10),
		"HANDOVER_TOKEN_ID": strconv.FormatInt(call.TokenID, 10), "HANDOVER_REASON": string(call.Reason),
		"HANDOVER_BACKEND": call.Backend, "HANDOVER_PATH": call.Path, "HANDOVER_EXPIRES_AT": "",
	}
	if call.Expires != nil {
		all["HANDOVER_EXPIRES_AT"] = call.Expires.Format(time.RFC3339)
	}
	return all
}

// webhook is a hook that posts.
type webhook struct{ to *hooks.Webhook }

// Run implements rotation.Hook.
func (w webhook) Run(ctx context.Context, call rotation.HookCall) error {
	body, err := json.Marshal(call)
	if err != nil {
		return err
	}
	return w.to.Send(ctx, callID(call), body)
}

// callID is the same each time that a change is told, and another for each
// change: a token that is delivered again is one.
func callID(call rotation.HookCall) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%s\n%s\n%d", call.Agent, call.Slot, call.After, call.Generation,
		call.Backend, call.Path, call.At.UnixNano()))
	return "msg_" + hex.EncodeToString(sum[:16])
}
