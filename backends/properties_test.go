package backends_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
)

func TestPathRule(t *testing.T) {
	rule := backends.PathRule{Pattern: regexp.MustCompile(`^[a-z]+$`), Max: 4, Says: "one to four letters"}
	parts := backends.PathRule{MaxPart: 3, Says: "short parts"}
	tests := []struct {
		name string
		rule backends.PathRule
		path string
		want string // a part of the error; "" for none
	}{
		{"fits", rule, "abcd", ""},
		{"too long", rule, "abcde", "has 5 bytes, at most 4 are allowed: one to four letters"},
		{"no match", rule, "a1", `"a1" is not allowed: one to four letters`},
		{"empty", rule, "", "the path is empty"},
		{"empty without a rule", backends.PathRule{}, "", "the path is empty"},
		{"anything without a rule", backends.PathRule{}, "any/thing at all", ""},
		{"short parts", parts, "abc/def/g", ""},
		{"a long part", parts, "abc/defg/h", "a part of the path has 4 bytes, at most 3 are allowed: short parts"},
		{"length is in bytes", rule, "äää", "has 6 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.rule.Check(test.path)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}
