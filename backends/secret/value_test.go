package secret_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/handover-agent/handover/backends/secret"
)

// plain is what must never show up, in any of these tests.
const plain = "never-print-this-0123456789"

// traces are the ways in which fmt's verbs and the encoders would show it.
var traces = []string{
	plain, plain[:12], plain[12:24],
	hex.EncodeToString([]byte(plain)), strings.ToUpper(hex.EncodeToString([]byte(plain))),
	fmt.Sprintf("%d", []byte(plain)),
}

func mustHide(t *testing.T, where, text string) {
	t.Helper()
	for _, trace := range traces {
		if strings.Contains(text, trace) {
			t.Errorf("%s shows the secret", where)
		}
	}
}

type outer struct {
	Name     string
	Exported secret.Value
	hidden   secret.Value
	pointer  *secret.Value
	inner    struct{ deep secret.Value }
}

type embedded struct{ secret.Value }

// nestings puts a Value wherever a caller might.
func nestings() map[string]any {
	v := secret.New(plain)
	o := outer{Name: "name", Exported: v, hidden: v, pointer: &v}
	o.inner.deep = v
	return map[string]any{
		"value":              v,
		"pointer":            &v,
		"struct":             o,
		"pointer to struct":  &o,
		"slice":              []secret.Value{v},
		"array":              [1]secret.Value{v},
		"slice of any":       []any{v, &v},
		"slice of structs":   []outer{o},
		"map value":          map[string]secret.Value{"k": v},
		"map key":            map[secret.Value]string{v: "k"},
		"map of structs":     map[string]*outer{"k": &o},
		"unexported in any":  struct{ x any }{v},
		"any of unexported":  struct{ x any }{struct{ y secret.Value }{v}},
		"embedded":           embedded{v},
		"embedded in hidden": struct{ x embedded }{embedded{v}},
	}
}

func TestFmtShowsNothing(t *testing.T) {
	verbs := "%v %+v %#v %s %q %x %X %d %o %b %e %g %t %c %U %p %T % x %#x %#q %10s %-40.30s %08v %w"
	for name, nested := range nestings() {
		for verb := range strings.FieldsSeq(verbs) {
			mustHide(t, name+" with "+verb, fmt.Sprintf(verb, nested))
		}
		mustHide(t, name+" with Sprint", fmt.Sprint(nested))
		mustHide(t, name+" with Sprintln", fmt.Sprintln("x", nested))
		mustHide(t, name+" in an error", fmt.Errorf("put %v: %w", nested, io.EOF).Error())
	}
}

func TestFmtShowsThePlaceholder(t *testing.T) {
	v := secret.New(plain)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, v); got != "<secret>" {
			t.Errorf("%s gives %q, want the placeholder", verb, got)
		}
		if got := fmt.Sprintf(verb, secret.Value{}); got != "<secret>" {
			t.Errorf("%s of the zero Value gives %q, want the placeholder", verb, got)
		}
	}
	if v.String() != "<secret>" || v.GoString() != "<secret>" {
		t.Error("String or GoString is not the placeholder")
	}
}

func TestSlogShowsNothing(t *testing.T) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		for name, nested := range nestings() {
			log := slog.New(h).With("with", nested).WithGroup("group")
			log.Debug(name, "any", nested, slog.Group("g", "x", nested), "list", []any{nested})
		}
		slog.New(h).Info("direct", "token", secret.New(plain))
	}
	mustHide(t, "the log", out.String())
	for _, want := range []string{`token=<secret>`, `"token":"<secret>"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}

func TestEncodersRefuse(t *testing.T) {
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"yaml": yaml.Marshal,
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
	}
	v := secret.New(plain)
	type record struct {
		XMLName xml.Name `json:"-" yaml:"-"`
		Token   secret.Value
	}
	type attribute struct {
		XMLName xml.Name     `json:"-" yaml:"-"`
		Token   secret.Value `xml:"token,attr"`
	}
	for name, encode := range encoders {
		for _, holder := range []any{v, &v, record{Token: v}, &record{Token: v}, attribute{Token: v}, []secret.Value{v}} {
			out, err := encode(holder)
			if !errors.Is(err, secret.ErrMarshal) && (err == nil || !strings.Contains(err.Error(), secret.ErrMarshal.Error())) {
				t.Errorf("%s of %T: got the error %v, want ErrMarshal", name, holder, err)
			}
			mustHide(t, name, string(out))
		}
		for nesting, nested := range nestings() {
			out, err := encode(nested) // unexported fields are left out, or refused
			mustHide(t, name+" of "+nesting, fmt.Sprint(string(out), err))
		}
	}
	if out, err := json.Marshal(map[secret.Value]int{v: 1}); err == nil {
		t.Errorf("a key in JSON is encoded as %s", out)
	}
}

// A journal can't take one by mistake.
func TestSQLRefuses(t *testing.T) {
	got, err := driver.DefaultParameterConverter.ConvertValue(secret.New(plain))
	if err == nil {
		t.Errorf("a Value became the SQL parameter %T", got)
	}
	mustHide(t, "the error", fmt.Sprint(err))
}

func TestTemplateShowsNothing(t *testing.T) {
	var out strings.Builder
	tmpl := template.Must(template.New("").Parse(`{{.Exported}} {{printf "%s %x" .Exported .}} {{.}}`))
	v := secret.New(plain)
	if err := tmpl.Execute(&out, outer{Exported: v, hidden: v}); err != nil {
		t.Fatal(err)
	}
	mustHide(t, "a template", out.String())
}

func TestPanicShowsNothing(t *testing.T) {
	for name, nested := range nestings() {
		func() {
			defer func() { mustHide(t, "recovered "+name, fmt.Sprintf("%v %+v %#v", recover(), nested, nested)) }()
			panic(nested)
		}()
	}
	err := fmt.Errorf("render: %v: %w", secret.New(plain), io.ErrUnexpectedEOF)
	mustHide(t, "an error", fmt.Sprintf("%v %+v %#v", err, err, err))
}

func TestValue(t *testing.T) {
	v, zero := secret.New(plain), secret.Value{}
	if v.Reveal() != plain || v.Len() != len(plain) || v.IsZero() {
		t.Error("New loses its text")
	}
	if !secret.New("").IsZero() || zero.Reveal() != "" || zero.Len() != 0 || !zero.IsZero() {
		t.Error("the empty text is not the zero Value")
	}
	if !v.Equal(secret.New(plain)) || v.Equal(zero) || zero.Equal(v) || v.Equal(secret.New(plain+"x")) || !zero.Equal(secret.Value{}) {
		t.Error("Equal doesn't compare the texts")
	}
}

func TestFingerprint(t *testing.T) {
	// printf %s abc | sha256sum | cut -c1-32
	if got := secret.New("abc").Fingerprint(); got != "ba7816bf8f01cfea414140de5dae2223" {
		t.Errorf("fingerprint of abc is %s", got)
	}
	if got := (secret.Value{}).Fingerprint(); got != "" {
		t.Errorf("fingerprint of the zero Value is %q, want none", got)
	}
	for f, want := range map[secret.Fingerprint]string{"ba7816bf8f01": "ba7816bf", "ba78": "ba78", "": ""} {
		if got := f.Short(); got != want {
			t.Errorf("Short of %q is %q, want %q", f, got, want)
		}
	}
}

func TestFingerprintTellsValuesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		fa, fb := secret.New(a).Fingerprint(), secret.New(b).Fingerprint()
		if (a == b) != (fa == fb) {
			t.Fatal("equal fingerprints of different texts, or the other way round")
		}
		sum := sha256.Sum256([]byte(a))
		if a != "" && string(fa) != hex.EncodeToString(sum[:16]) {
			t.Fatal("not the first 16 bytes of the SHA-256")
		}
	})
}
