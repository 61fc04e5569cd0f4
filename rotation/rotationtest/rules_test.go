package rotationtest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends/mem"
	"github.com/handover-agent/handover/backends/payload"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// The rules of design.md, each with its own test: "A slot's life" and "More
// rules that hold everywhere". Beside what a test asks for, the Lab checks the
// promises after each act.

// inLab plays in a world of two stores, or of those given.
func inLab(t *testing.T, play func(t *testing.T, l *rotationtest.Lab), stores ...rotationtest.LabStore) {
	t.Helper()
	if len(stores) == 0 {
		stores = twoStores()
	}
	synctest.Test(t, func(t *testing.T) {
		l := rotationtest.NewLab(t, nil, stores...)
		play(t, l)
		if broken := l.Broken(); broken != "" {
			t.Error(broken)
		}
	})
}

// lossyStore keeps metadata, and its format doesn't give the token back.
func lossyStore() rotationtest.LabStore {
	return rotationtest.LabStore{Options: mem.LikeVault(), Format: payload.Spec{Format: "template", Template: "key={{.Token}};"}}
}

func tokenStore(options mem.Options) rotationtest.LabStore {
	return rotationtest.LabStore{Options: options, Format: payload.Spec{Format: "token"}}
}

// settle runs a minute and wants the given generation to be current and served
// everywhere.
func settle(t *testing.T, l *rotationtest.Lab, generation uint64) {
	t.Helper()
	l.Run(time.Minute)
	wantServed(t, l, generation)
}

func wantServed(t *testing.T, l *rotationtest.Lab, generation uint64) {
	t.Helper()
	if got := l.Record().Current; got != generation {
		t.Fatalf("the current generation is %d, want %d", got, generation)
	}
	for i := range l.Stores {
		wantAt(t, l, i, generation)
	}
}

// wantAt wants store i to serve that generation; 0 is nothing of ours.
func wantAt(t *testing.T, l *rotationtest.Lab, i int, generation uint64) {
	t.Helper()
	token, _ := l.Serves(i)
	number, _ := rotation.ParseLabel(token.Label, rotationtest.LabToken, "lab")
	if number != generation {
		t.Errorf("store%d serves g%d, want g%d", i+1, number, generation)
	}
}

// generation is what the record says of one.
func generation(t *testing.T, l *rotationtest.Lab, number uint64) rotation.Generation {
	t.Helper()
	for _, g := range l.Record().Generations {
		if g.Number == number {
			return g
		}
	}
	t.Fatalf("the record has no g%d", number)
	return rotation.Generation{}
}

func wantState(t *testing.T, l *rotationtest.Lab, number uint64, want rotation.State) {
	t.Helper()
	if g := generation(t, l, number); g.State != want {
		t.Errorf("g%d is %s (%s), want %s", number, g.State, g.Reason, want)
	}
}

// token is generation number as the API lists it; false when it doesn't.
func token(t *testing.T, l *rotationtest.Lab, number uint64) (rotation.Token, bool) {
	t.Helper()
	list, err := l.API.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, listed := range list {
		if listed.Label == label(number) {
			return listed, true
		}
	}
	return rotation.Token{}, false
}

func label(number uint64) string { return rotation.Label(rotationtest.LabToken, "lab", number) }

func wantLive(t *testing.T, l *rotationtest.Lab, number uint64) {
	t.Helper()
	if listed, ok := token(t, l, number); !ok || !listed.Live(l.API.Now()) {
		t.Errorf("g%d isn't live: listed %v, %+v", number, ok, listed)
	}
}

// rotate asks for a rotation and runs a minute.
func rotate(t *testing.T, l *rotationtest.Lab) {
	t.Helper()
	l.Request(rotation.RequestRotate)
	l.Run(time.Minute)
}

func revoked(tk *rotation.Token) { tk.Active = false }

func restored(tk *rotation.Token) { tk.Active = true }

// reason is why the slot waits, or is blocked.
func reason(t *testing.T, l *rotationtest.Lab) rotation.Reason {
	t.Helper()
	return l.Pass().Reason
}

// before runs a check at the instant before each act whose name begins so.
func before(l *rotationtest.Lab, prefix string, check func(act string)) {
	l.Script.Fault = func(act string) error {
		if strings.HasPrefix(act, prefix) {
			check(act)
		}
		return nil
	}
}

// overwrite puts a text at the first store as a person does.
func overwrite(l *rotationtest.Lab, text string) {
	l.Stores[0].Overwrite(rotationtest.LabPath, secret.New(text))
}
