package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/handover-agent/handover/agent/metrics"
)

// usedFollower is a Follower of which every metric has a sample.
func usedFollower() *metrics.Follower {
	f := metrics.NewFollower(metrics.FollowerOptions{Version: "1.2.3", Entries: func() []metrics.Followed {
		return []metrics.Followed{
			{To: "pod/dbt.env", InStep: true, Delivered: true, Seen: now, Expires: now.Add(time.Hour)},
			{To: "pod/\xff", Delivered: true},
		}
	}})
	f.Looked("in_step")
	f.Looked("in_step")
	f.Looked("store_away")
	f.Looked("a text from outside")
	f.Copied("pod/dbt.env")
	f.Hook("pod/dbt.env", true)
	f.Hook("pod/dbt.env", false)
	return f
}

func TestFollower(t *testing.T) {
	text := scrape(t, usedFollower())
	wantSamples(t, text,
		`handover_follow_looks_total{result="in_step"} 2`,
		`handover_follow_looks_total{result="store_away"} 1`,
		`handover_follow_looks_total{result="other"} 1`,
		`handover_follow_copies_total{to="pod/dbt.env"} 1`,
		`handover_follow_hooks_total{result="done",to="pod/dbt.env"} 1`,
		`handover_follow_hooks_total{result="failed",to="pod/dbt.env"} 1`,
		`handover_follow_in_step{to="pod/dbt.env"} 1`,
		`handover_follow_in_step{to="pod/?"} 0`,
		`handover_follow_delivered{to="pod/?"} 1`,
		`handover_follow_seen_timestamp_seconds{to="pod/dbt.env"} 1.79388e+09`,
		`handover_follow_token_expiry_timestamp_seconds{to="pod/dbt.env"} 1.7938836e+09`,
	)
	for _, absent := range []string{`seen_timestamp_seconds{to="pod/?"}`, `expiry_timestamp_seconds{to="pod/?"}`} {
		if strings.Contains(text, absent) {
			t.Errorf("there is a %s", absent)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "handover_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
