package backendtest

import (
	"strings"
	"testing"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
)

// roomy is a payload larger than any format makes, for stores without a limit.
const roomy = 256 << 10

func sizeTests() []subtest {
	return []subtest{
		{name: "LargePayload", run: largePayload},
		{name: "TooLargeIsInvalid", run: tooLargeIsInvalid, needs: []property{maxPayload}},
		{name: "BinaryAndUnicodePayload", run: binaryAndUnicodePayload},
	}
}

func largePayload(t *testing.T, s *suite) {
	size := s.properties.MaxPayload
	if size == 0 {
		size = roomy
	}
	b, ref := s.open(t), s.Ref(t)
	item := backends.Item{Payload: secret.New(strings.Repeat("A", size))}
	put(t, b, ref, item, backends.Absent)
	wantPayload(t, b, ref, backends.Current, item.Payload)
}

func tooLargeIsInvalid(t *testing.T, s *suite) {
	b, ref, first := s.open(t), s.Ref(t), newItem(1)
	v1 := put(t, b, ref, first, backends.Absent)
	tooLarge := backends.Item{Payload: secret.New(strings.Repeat("A", s.properties.MaxPayload+1))}
	_, err := b.Put(t.Context(), ref, tooLarge, v1)
	wantKind(t, "put of a byte too much", err, backends.ErrInvalid)
	wantPayload(t, b, ref, backends.Current, first.Payload)
}

// binaryAndUnicodePayload: text of every kind comes back byte for byte. Bytes
// that are no text do too, or are refused; they are never changed.
func binaryAndUnicodePayload(t *testing.T, s *suite) {
	b := s.open(t)
	texts := map[string]string{
		"unicode":   "zażółć gęślą jaźń – 日本語 🔑 \u2028 e\u0301",
		"lines":     "A=1\nB=2\n\r\n\ttabbed\n",
		"quotes":    `{"a":"\"\\<>&\u0041","b":{"c":[1,2.50,1e3,null,true]}}`,
		"fields":    `{"b":"2","a":"1","é":"<&>"}`,
		"duplicate": `{"a":"1","a":"2"}`,
		"spaced":    `{ "a": "1" }`,
		"blank":     "  leading and trailing  ",
		"html":      "<no value> &amp; %20 + ${x} {{.Token}}",
	}
	for name, text := range texts {
		ref, item := s.Ref(t), backends.Item{Payload: secret.New(text)}
		t.Log(name)
		put(t, b, ref, item, backends.Absent)
		wantPayload(t, b, ref, backends.Current, item.Payload)
	}
	for name, bytes := range map[string]string{"no UTF-8": "a\xff\xfe\x80z", "zero bytes": "a\x00\x00z"} {
		ref, item := s.Ref(t), backends.Item{Payload: secret.New(bytes)}
		t.Log(name)
		if _, err := b.Put(t.Context(), ref, item, backends.Absent); err != nil {
			wantKind(t, "put of bytes", err, backends.ErrInvalid)
			wantNothing(t, b, ref, backends.Current)
			continue
		}
		wantPayload(t, b, ref, backends.Current, item.Payload)
	}
}
