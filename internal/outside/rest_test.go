package outside

import (
	"context"
	"strings"
	"testing"
)

// TestUnsettled: a slot is at rest with one live token that all its targets
// hold, and with nothing else.
func TestUnsettled(t *testing.T) {
	server, q, old, oldToken := simulator(t) // x.me.g1 of good@service
	held := map[string]string{"one": oldToken, "two": oldToken}
	var consumers []Consumer
	for _, name := range []string{"one", "two"} {
		consumers = append(consumers, Consumer{Name: name, Slot: "good@service/x",
			Read: func(context.Context) (string, error) { return held[name], nil }})
	}
	consumers = append(consumers, Consumer{Name: "other", Slot: "good@service/y",
		Read: func(context.Context) (string, error) { return "", ErrAbsent }})
	says := func(slot, want string) {
		t.Helper()
		all, err := q.Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := Unsettled(t.Context(), q, all, "me", slot, consumers)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: it says %q, want %q", slot, got, want)
		}
	}
	const slot = "good@service/x"
	says("good@service/y", "the API lists []")
	says(slot, "")
	newer, value, err := server.CreateToken("good@service", "x.me.g2", 1)
	if err != nil {
		t.Fatal(err)
	}
	says(slot, "x.me.g1")
	if err := server.RevokeToken(old); err != nil {
		t.Fatal(err)
	}
	says(slot, "revoked")
	if err := server.DeleteToken(old); err != nil {
		t.Fatal(err)
	}
	says(slot, "one holds the token")
	held["one"] = value.Reveal()
	says(slot, "two holds the token")
	held["two"] = "no token"
	says(slot, `two holds the token ""`)
	held["two"] = held["one"]
	says(slot, "")
	if err := server.RevokeToken(newer); err != nil {
		t.Fatal(err)
	}
	says(slot, "revoked")
	if _, _, err := server.CreateToken("good@service", "y.me.g1", 1); err != nil {
		t.Fatal(err)
	}
	says("good@service/y", ErrAbsent.Error())
}
