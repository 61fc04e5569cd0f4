package rotation

import (
	"strconv"
	"strings"
	"unicode"
)

// MaxTokenName is the longest token name that Qualytics takes, in characters
// (qualytics-api.md, "Service tokens").
const MaxTokenName = 255

// AccountID is the id that Qualytics makes from an account's name: lower case,
// spaces to underscores, special characters removed, and "@service"
// (qualytics-api.md, "Service accounts"). Two names can give one id.
func AccountID(name string) string {
	var id strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case unicode.IsSpace(r):
			id.WriteByte('_')
		case r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			id.WriteRune(r)
		}
	}
	return id.String() + "@service"
}

// Slot names a declared token: "<account id>/<token name>".
func Slot(accountID, token string) string { return accountID + "/" + token }

// Label is the token's name in Qualytics: "<token name>.<agent id>.g<n>".
func Label(token, agentID string, generation uint64) string {
	return labelPrefix(token, agentID) + strconv.FormatUint(generation, 10)
}

func labelPrefix(token, agentID string) string { return token + "." + agentID + ".g" }

// MaxGeneration is the highest number of a generation: the largest that every
// reader of JSON takes whole.
const MaxGeneration = 1<<53 - 1

// ParseLabel returns the generation in a label of this token and agent, and
// false for every other text, also for a number with a leading zero or sign,
// or above MaxGeneration.
func ParseLabel(label, token, agentID string) (uint64, bool) {
	digits, ok := strings.CutPrefix(label, labelPrefix(token, agentID))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || digits[0] == '0' || n > MaxGeneration {
		return 0, false
	}
	return n, true
}

// SplitLabel is ParseLabel for whichever token of this agent: it returns the
// token's name too.
func SplitLabel(label, agentID string) (token string, generation uint64, ours bool) {
	end := strings.LastIndex(label, labelPrefix("", agentID))
	if end < 1 {
		return "", 0, false
	}
	generation, ours = ParseLabel(label, label[:end], agentID)
	return label[:end], generation, ours
}
