package rotationtest_test

import (
	"testing"

	"github.com/handover-agent/handover/rotation/rotationtest"
)

func TestTraceFindsAnyPartOfASignature(t *testing.T) {
	api := rotationtest.NewAPI()
	_, value := api.IssueByHand("a@service", "by-hand", 0)
	text := value.Reveal()
	for _, leak := range []string{text, text[len(text)-43:], text[len(text)-43 : len(text)-31], text[len(text)-19 : len(text)-7]} {
		if label, found := api.Trace([]byte("said: " + leak)); !found || label != "by-hand" {
			t.Errorf("%d characters of a token went unseen", len(leak))
		}
	}
	for _, clean := range []string{"", "said", text[:len(text)-43], text[len(text)-7:]} {
		if _, found := api.Trace([]byte(clean)); found {
			t.Errorf("%d characters that are no secret were found", len(clean))
		}
	}
}
