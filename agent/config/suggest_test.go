package config

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"owner", "owner", 0},
		{"onwer", "owner", 1}, // exchanged
		{"owne", "owner", 1},
		{"ownerr", "owner", 1},
		{"owmer", "owner", 1},
		{"", "ab", 2},
		{"größe", "grösse", 2},
		{"a", "abcdef", maxDistance + 1}, // not measured
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"backend", "path", "id"}
	for word, want := range map[string]string{
		"bakend":  `did you mean "backend"?`,
		"PATH":    `did you mean "path"?`,
		"xy":      "choose one of backend, path, id", // as far from id as id is long
		"nothing": "choose one of backend, path, id",
	} {
		if got := suggest(word, "choose one of", known); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}
