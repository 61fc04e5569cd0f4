package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// durationPart is one number with its unit.
var durationPart = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)(ns|us|µs|μs|ms|s|m|h|d|w)`)

// durationPattern is a whole duration, for the JSON Schema.
const durationPattern = `([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|h|d|w))+`

var wholeDuration = regexp.MustCompile(`^(` + durationPattern + `)$`)

var errDuration = errors.New(`write numbers with units, such as "90d", "1w2d" or "1h30m" (units: w d h m s ms)`)

// ParseDuration reads a duration as declarations write it: Go's units plus d
// (24 h) and w (7 d), in any order: "1w2d", "1h30m", "0s". A sign or a number
// without unit is an error.
func ParseDuration(text string) (time.Duration, error) {
	if !wholeDuration.MatchString(text) {
		return 0, fmt.Errorf("%q is not a duration: %w", text, errDuration)
	}
	var sum time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		d, ok := scaled(part[1], part[2])
		if !ok || d > math.MaxInt64-sum {
			return 0, fmt.Errorf("%q is too long for a duration: the longest is %s", text, FormatDuration(math.MaxInt64/day*day))
		}
		sum += d
	}
	return sum, nil
}

// scaled is number times unit, and false where that is too much.
func scaled(number, unit string) (time.Duration, bool) {
	factor := time.Duration(1)
	switch unit {
	case "d":
		factor, unit = day/time.Hour, "h"
	case "w":
		factor, unit = week/time.Hour, "h"
	}
	d, err := time.ParseDuration(number + unit)
	if err != nil || d > math.MaxInt64/factor {
		return 0, false
	}
	return d * factor, true
}

// FormatDuration writes d as a declaration would, in days and Go's units:
// "335d", "1d12h", "2s", "0s". ParseDuration reads it back, but for the sign of
// a negative one.
func FormatDuration(d time.Duration) string {
	var text strings.Builder
	days, rest := (d / day).Abs(), (d % day).Abs() // apart, for the shortest of all has no Abs of its own
	if d < 0 {
		text.WriteByte('-')
	}
	if days > 0 {
		text.WriteString(strconv.FormatInt(int64(days), 10) + "d")
	}
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}} {
		if n := rest / unit.size; n > 0 {
			text.WriteString(strconv.FormatInt(int64(n), 10) + unit.name)
		}
		rest %= unit.size
	}
	if rest > 0 || text.Len() == 0 {
		text.WriteString(rest.String())
	}
	return text.String()
}
