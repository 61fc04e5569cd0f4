package agent

import (
	"context"
	"fmt"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/agent/hooks"
	"github.com/handover-agent/handover/agent/notify"
)

// openNotify makes those who are told what a person should look at.
func (w *declared) openNotify(list []config.Notify, version string) error {
	for _, d := range list {
		to, err := hooks.NewWebhook(hooks.WebhookOptions{URL: d.URL, From: d.URLFrom, Secret: d.Secret, CAFile: d.CAFile,
			Timeout: d.Timeout, UserAgent: "handover/" + version})
		if err != nil {
			return fmt.Errorf("open notify %s: %w", d.Name, err)
		}
		w.webhooks = append(w.webhooks, to)
		r := notify.Receiver{Name: d.Name, Every: d.Every, Send: func(ctx context.Context, n notify.Notice) error {
			body, err := n.JSON()
			if d.Slack {
				body, err = n.Slack()
			}
			if err != nil {
				return err
			}
			return to.Send(ctx, n.ID(), body)
		}}
		for _, event := range d.Events {
			r.Events = append(r.Events, notify.Event(event))
		}
		w.receivers = append(w.receivers, r)
	}
	return nil
}
