package wire

import (
	"math"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for want, o := range map[string]Options{
		"":                                     {CertFile: "a", KeyFile: "b", MaxInFlight: 1, Rate: 0.1, Timeout: 1},
		"cert_file and key_file belong":        {CertFile: "a"},
		"cert_file and key_file belong togeth": {KeyFile: "a"},
		"timeout must":                         {Timeout: -1},
		"max_in_flight must":                   {MaxInFlight: -1},
		"rate must":                            {Rate: -1},
		"rate must be":                         {Rate: math.NaN()},
		"rate must be more":                    {Rate: math.Inf(1)},
	} {
		err := o.Check()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://store.example":        "",
		"https://store.example:8200/x": "",
		"http://127.0.0.1:8200":        "",
		"http://[::1]:8200":            "",
		"http://localhost":             "",
		"http://store.example":         "url is plain http to another machine",
		"http://10.0.0.1":              "url is plain http to another machine",
		"store.example":                "url must be a URL such as https://e.example",
		"ftp://store.example":          "url must be a URL",
		"https://":                     "url must be a URL",
		"https://a:b@store.example":    "url must end after the host",
		"https://store.example?a=b":    "url must end after the host",
		"https://store.example#a":      "url must end after the host",
	} {
		err := CheckURL("url", address, "https://e.example")
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// A file that can't be used is told before any request.
func TestFiles(t *testing.T) {
	a := newAuthority(t)
	empty := a.write(t, "empty.pem", nil)
	cert, key := a.pair(t, "client", 1)
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no such ca_file":       {Options{CAFile: "nowhere.pem"}, "read ca_file: "},
		"ca_file without any":   {Options{CAFile: empty}, "holds no PEM certificate"},
		"no such cert_file":     {Options{CertFile: "nowhere.pem", KeyFile: key}, "read cert_file and key_file: "},
		"cert_file without any": {Options{CertFile: empty, KeyFile: key}, "read cert_file and key_file: "},
		"key for a certificate": {Options{CertFile: cert, KeyFile: cert}, "read cert_file and key_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := New(c.o)
			if err == nil {
				tr.Close()
				t.Fatal("it is taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
