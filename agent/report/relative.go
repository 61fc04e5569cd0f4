package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Relative tells at as seen from now: "in 3d4h", "5m10s ago", "now" within a
// second. A nil time is "-".
func Relative(at *time.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	d := at.Sub(now)
	switch {
	case d >= time.Second:
		return "in " + Span(d)
	case d <= -time.Second:
		return Span(-d) + " ago"
	}
	return "now"
}

// units are the units of a Span, the largest first. A day has 24 hours.
var units = []struct {
	name   string
	length time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// Span tells a length of time in its largest unit and the next smaller one, cut
// off, not rounded: "3d4h", "2h", "5m10s". Below a second it is "0s"; what is
// negative is told as its opposite.
func Span(d time.Duration) string {
	d = d.Abs()
	for i, unit := range units {
		if d < unit.length {
			continue
		}
		text := fmt.Sprintf("%d%s", d/unit.length, unit.name)
		if i+1 < len(units) {
			if rest := d % unit.length / units[i+1].length; rest > 0 {
				text += fmt.Sprintf("%d%s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0s"
}

// plain makes one line of a text for a terminal: what isn't printable, such as
// a control sequence in a server's answer, becomes a space.
func plain(text string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(clean)
}

// dash stands for what there is nothing to say of.
func dash(text string) string {
	if text = plain(text); text == "" {
		return "-"
	}
	return text
}

// number is n, or a dash for zero.
func number[N int64 | uint64](n N) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
