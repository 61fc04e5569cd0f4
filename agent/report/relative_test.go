package report_test

import (
	"testing"
	"time"

	"github.com/handover-agent/handover/agent/report"
)

func TestSpan(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"},
		{999 * time.Millisecond, "0s"},
		{time.Second, "1s"},
		{59*time.Second + 999*time.Millisecond, "59s"},
		{time.Minute, "1m"},
		{5*time.Minute + 10*time.Second, "5m10s"},
		{time.Hour, "1h"},
		{time.Hour + 59*time.Second, "1h"},
		{23*time.Hour + 59*time.Minute + 59*time.Second, "23h59m"},
		{day, "1d"},
		{3*day + 4*time.Hour + 30*time.Minute, "3d4h"},
		{364*day + 23*time.Hour, "364d23h"},
		{-2 * time.Hour, "2h"},
		{-1 << 63, "106751d23h"},
	}
	for _, test := range tests {
		if got := report.Span(test.d); got != test.want {
			t.Errorf("Span(%d) = %q, want %q", test.d, got, test.want)
		}
	}
}

func TestRelative(t *testing.T) {
	tests := []struct {
		at   *time.Time
		want string
	}{
		{nil, "-"},
		{at(0), "now"},
		{at(999 * time.Millisecond), "now"},
		{at(-999 * time.Millisecond), "now"},
		{at(time.Second), "in 1s"},
		{at(3 * day), "in 3d"},
		{at(-90 * time.Minute), "1h30m ago"},
	}
	for _, test := range tests {
		if got := report.Relative(test.at, now); got != test.want {
			t.Errorf("Relative(%v) = %q, want %q", test.at, got, test.want)
		}
	}
}
