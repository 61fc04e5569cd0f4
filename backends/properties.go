package backends

import (
	"fmt"
	"regexp"
	"strings"
)

// Properties says what a backend can do and what it accepts. It is data: the
// declaration is checked against it before anything is opened, and the engine
// chooses by it.
type Properties struct {
	// CompareAndSet: Put refuses when another writer came in between.
	CompareAndSet bool
	// Versions: the value replaced by a Put can still be read at Previous.
	Versions bool
	// Metadata: Meta given to Put comes back from Get.
	Metadata bool
	// Volatile: what is stored ends with a restart of the machine or the
	// process.
	Volatile bool
	// RemoveRevoked: an old version is taken out of reach (Remover) as soon as
	// its token is revoked. Other stores keep theirs, until an emergency.
	RemoveRevoked bool
	// Local: the store is a part of this machine. None of its answers gets lost,
	// it asks nobody to wait, and nobody else keeps metadata there.
	Local bool
	// FirstIsCurrent: where nothing stands yet, what is staged is current at
	// once.
	FirstIsCurrent bool
	// MaxPayload is the largest payload in bytes; 0 is no limit.
	MaxPayload int
	// MaxMeta is the longest slot in bytes that Meta can hold; 0 is no limit.
	MaxMeta int
	// Path is the rule for Ref.Path.
	Path PathRule
}

// PathRule is what a store accepts as a name.
type PathRule struct {
	// Pattern must match the whole path; nil matches all.
	Pattern *regexp.Regexp
	// Max is the longest path in bytes, MaxPart the longest of its parts between
	// slashes; 0 is no limit.
	Max, MaxPart int
	// Says is the rule in words, for the error.
	Says string
}

// Check returns nil when path follows the rule, else an error that says the
// rule in words.
func (r PathRule) Check(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("the path is empty")
	case r.Max > 0 && len(path) > r.Max:
		return fmt.Errorf("the path has %d bytes, at most %d are allowed: %s", len(path), r.Max, r.Says)
	case r.MaxPart > 0 && longestPart(path) > r.MaxPart:
		return fmt.Errorf("a part of the path has %d bytes, at most %d are allowed: %s", longestPart(path), r.MaxPart, r.Says)
	case r.Pattern != nil && !r.Pattern.MatchString(path):
		return fmt.Errorf("the path %q is not allowed: %s", path, r.Says)
	}
	return nil
}

func longestPart(path string) int {
	longest := 0
	for part := range strings.SplitSeq(path, "/") {
		longest = max(longest, len(part))
	}
	return longest
}
