package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/rotation"
)

// TestEveryReasonHasASentence reads the reasons where they are declared: a new
// one has to be told to people too.
func TestEveryReasonHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../rotation/reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if Says(rotation.Reason(text)) == text {
			t.Errorf("%s has no sentence", text)
		}
		return true
	})
	if found < 40 {
		t.Errorf("only %d reasons were found", found)
	}
	if got := Says("of_tomorrow"); got != "of_tomorrow" {
		t.Errorf("an unknown reason is told as %q", got)
	}
}

// explained is a slot with a target that is behind and an older token in use.
func explained() Document {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	const day = 24 * time.Hour
	s := rotation.Status{Slot: "a@service/t", State: rotation.SlotDelivering, Reason: rotation.TargetUnreachable,
		Generation: 8, TokenID: 812, IssuedAt: at(-3 * day), ExpiresAt: at(362 * day), LastUsedAt: at(-time.Hour),
		NextAt: at(4 * time.Minute), Next: "deliver to aws/x",
		Targets: []rotation.TargetStatus{
			{Backend: "vault", Path: "x", Generation: 8, State: rotation.InStep, Reason: rotation.TargetServes, Since: at(-3 * day)},
			{Backend: "aws", Path: "x", State: rotation.Behind, Reason: rotation.TargetUnreachable, Since: at(-2 * time.Hour), RetryAt: at(4 * time.Minute)}},
		Retired: []rotation.RetiredStatus{{Generation: 7, TokenID: 733, State: rotation.Hold, Reason: rotation.StillUsed,
			Until: at(4 * day), LastUsedAt: at(-20 * time.Minute)}}}
	return Document{Now: now, Running: true, Slots: []rotation.Status{{Slot: "other"}, s},
		Held: &Held{Until: now.Add(time.Minute), Reason: rotation.APIUnavailable}}
}

func TestExplain(t *testing.T) {
	doc := explained()
	e, ok := Explain(doc, "a@service/t", []rotation.Event{{Slot: "a@service/t", Act: rotation.ActIssued, Generation: 8, At: doc.Now}})
	if !ok {
		t.Fatal("the slot isn't found")
	}
	for _, want := range []rotation.Reason{rotation.TargetUnreachable, rotation.TargetServes, rotation.StillUsed} {
		if e.Says[want] == "" {
			t.Errorf("%s isn't said", want)
		}
	}
	if len(e.Problems) != 2 || !strings.Contains(e.Problems[0], "calls to Qualytics wait") {
		t.Errorf("problems %q", e.Problems)
	}
	var out strings.Builder
	if err := WriteExplanation(&out, e); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"a@service/t: delivering, generation 8, token 812\n  target_unreachable: the store can't be reached, or doesn't answer\n" +
			"  issued 3d ago, expires in 362d (2027-10-29T12:00:00Z), last used 1h ago\n  next: deliver to aws/x in 4m (2026-11-01T12:04:00Z)\n",
		"  vault/x  current  serves g8     it serves the token, since 3d\n",
		"  aws/x    behind   none of ours  the store can't be reached, or doesn't answer, since 2h; tried again in 4m\n",
		"  g7, token 733  hold  somebody still uses it; revoke in 4d, last used 20m ago\n",
		"\nLast acts\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q isn't in\n%s", want, &out)
		}
	}
}

func TestExplainOfAStoppedAgent(t *testing.T) {
	doc := explained()
	doc.Running, doc.Held = false, nil
	e, ok := Explain(doc, "other", nil)
	if !ok || e.Events == nil || e.Problems == nil {
		t.Fatalf("found %v, %+v", ok, e)
	}
	var out strings.Builder
	if err := WriteExplanation(&out, e); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "no agent runs; this is what its journal says\n") {
		t.Errorf("it doesn't say that no agent runs:\n%s", &out)
	}
	if _, ok := Explain(doc, "missing", nil); ok {
		t.Error("a slot that isn't there is explained")
	}
}
