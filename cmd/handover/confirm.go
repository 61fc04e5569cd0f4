package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/handover-agent/handover/rotation"
)

// confirmation is what a person is asked before much is revoked.
type confirmation struct {
	// does says what will be done, after "this".
	does string
	// word is to be typed.
	word string
}

// confirmed asks before all slots are rotated, and before several are revoked.
func (a *app) confirmed(o order, slots []string) error {
	switch {
	case o.yes:
		return nil
	case o.kind == rotation.RequestRevoke && len(slots) > 1:
		return a.confirm(confirmation{fmt.Sprintf("revokes every token of %s now, and issues none", number(len(slots), "slot")), "revoke"})
	case o.all:
		return a.confirm(confirmation{fmt.Sprintf("replaces and revokes every token of %s now", number(len(slots), "slot")), "emergency"})
	}
	return nil
}

// confirm asks the person at the terminal. Where nobody is asked, --yes is the
// only answer.
func (a *app) confirm(c confirmation) error {
	if _, ok := terminal(a.in); !ok {
		return usage("this %s, and there is no terminal to ask at: confirm it with --yes", c.does)
	}
	fmt.Fprintf(a.err, "This %s.\nType %q to go on: ", c.does, c.word)
	word, err := bufio.NewReader(a.in).ReadString('\n')
	if strings.TrimSpace(word) != c.word {
		if err != nil {
			fmt.Fprintln(a.err)
		}
		return usage("nothing was done: the word is %q; where nobody can type it, confirm with --yes", c.word)
	}
	return nil
}
