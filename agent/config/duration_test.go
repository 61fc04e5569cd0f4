package config

import (
	"errors"
	"math"
	"strings"
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
		"200000d", "200000d!", "30000w", "106751d24h", "99999999999999999999h", "1d-1h",
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
		"-1ns":       -1,
		// the longest of both signs
		"106751d23h47m16.854775807s":  math.MaxInt64,
		"-106751d23h47m16.854775808s": math.MinInt64,
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

// FuzzDuration: what is read is what the schema takes, and short enough; it is
// written and read again as the same; what Go reads too is the same there. What
// is written is read again, whatever its length.
func FuzzDuration(f *testing.F) {
	for text, d := range map[string]time.Duration{"1w2d": 7, "1.5h30m": day - 1, "106751d24h": math.MaxInt64, "0s": math.MinInt64, "5µs": -1} {
		f.Add(text, int64(d))
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		d, err := ParseDuration(text)
		fits := wholeDuration.MatchString(text)
		switch {
		case err != nil && d != 0:
			t.Errorf("%q: %s, and the error %v", text, d, err)
		case err != nil && errors.Is(err, errDuration) == fits:
			t.Errorf("%q: %v; the schema takes it: %v", text, err, fits)
		case err == nil && (!fits || d < 0):
			t.Errorf("%q is read as %s; the schema takes it: %v", text, d, fits)
		case err == nil:
			if gos, err := time.ParseDuration(text); err == nil && gos != d {
				t.Errorf("%q is read as %s, Go reads %s", text, d, gos)
			}
			checkWritten(t, d)
		}
		checkWritten(t, time.Duration(length))
	})
}

func checkWritten(t *testing.T, d time.Duration) {
	t.Helper()
	written := FormatDuration(d)
	magnitude, negative := strings.CutPrefix(written, "-")
	back, err := ParseDuration(magnitude)
	switch {
	case negative != (d < 0):
		t.Errorf("%d is written as %s", d, written)
	case d == math.MinInt64: // its magnitude is one too many
		if err == nil {
			t.Errorf("%s is read as %d", magnitude, back)
		}
	case err != nil || back != max(d, -d):
		t.Errorf("%d is written as %s, which is read as %d (%v)", d, written, back, err)
	}
}
