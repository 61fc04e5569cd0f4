package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s":      0,
		"365d":    365 * 24 * time.Hour,
		"1w2d":    9 * 24 * time.Hour,
		"1w2d3h":  9*24*time.Hour + 3*time.Hour,
		"1h30m":   90 * time.Minute,
		"30m1h":   90 * time.Minute,
		"1.5d":    36 * time.Hour,
		"0.5w":    84 * time.Hour,
		"250ms":   250 * time.Millisecond,
		"1d1d":    48 * time.Hour,
		"5us":     5 * time.Microsecond,
		"5µs":     5 * time.Microsecond,
		"106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for _, text := range []string{
		"", "7", "d", "-7d", "+7d", "7 d", " 7d", "7d ", "7D", "1e3s", ".5d", "5.d", "7days", "1y", "never",
		"200000d", "30000w", "106751d24h", "99999999999999999999h", "1d-1h",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s":         0,
		"335d":       335 * 24 * time.Hour,
		"7d":         7 * 24 * time.Hour,
		"1d12h":      36 * time.Hour,
		"1d2h3m4.5s": 26*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"2s":         2 * time.Second,
		"1h":         time.Hour,
		"1d5m":       24*time.Hour + 5*time.Minute,
		"-2d":        -48 * time.Hour,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestDurationsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		text := FormatDuration(d)
		back, err := ParseDuration(text)
		if err != nil || back != d {
			t.Fatalf("%d is written as %s, which is read as %d (%v)", d, text, back, err)
		}
	})
}
