package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Options is what the declarations of all stores on a network have in common.
// Check's errors go by the keys that the declaration has for them: ca_file,
// cert_file, key_file, timeout, max_in_flight, rate.
type Options struct {
	// CAFile holds the certificates to trust, as PEM; "" is the system's.
	CAFile string
	// Besides: CAFile's certificates are trusted besides the system's, not
	// instead of them.
	Besides bool
	// CertFile and KeyFile hold the client's certificate and its key, as PEM.
	CertFile, KeyFile string
	// ServerName is the name expected in the server's certificate; "" is the
	// address's.
	ServerName string
	// Timeout bounds the making of a connection, and of its TLS.
	Timeout time.Duration
	// MaxInFlight is the most calls at the same time, Rate the most in a
	// second. 0 is undeclared: NewLimit wants them filled.
	MaxInFlight int
	Rate        float64
	// MaxBody bounds what is read of one answer, in bytes.
	MaxBody int64
	// Asks says which requests go to the store itself, and not to who logs the
	// agent in: they alone are noted in a Flight. nil is all.
	Asks func(*http.Request) bool
	// Acts says on which of those the store may act, and not only ask for a
	// login. nil is all.
	Acts func(*http.Request) bool
}

// Check returns what is wrong with the declared values. It looks at no file.
func (o Options) Check() error {
	var all []error
	if (o.CertFile == "") != (o.KeyFile == "") {
		all = append(all, errors.New("cert_file and key_file belong together: give both, or neither"))
	}
	if o.Timeout < 0 {
		all = append(all, errors.New("timeout must be more than nothing, for example 10s"))
	}
	if o.MaxInFlight < 0 {
		all = append(all, errors.New("max_in_flight must be at least 1, for example 16"))
	}
	if o.Rate < 0 || math.IsInf(o.Rate, 0) || math.IsNaN(o.Rate) {
		all = append(all, errors.New("rate must be more than 0 calls per second, for example 20"))
	}
	return errors.Join(all...)
}

// CheckURL returns what is wrong with the URL of a server; key is where the
// declaration has it. Plain http is for this machine alone.
func CheckURL(key, address, example string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%s must be a URL such as %s", key, example)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s must end after the host, the port or a path, and hold no user or password", key)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%s is plain http to another machine, where anybody on the way reads the tokens; use https", key)
	}
	return nil
}

// isLoopback reports whether host names this machine by itself, without asking
// a name server.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tls reads the files. A client's certificate is read again for each
// connection, for such certificates are renewed often.
func (o Options) tls() (*tls.Config, error) {
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: o.ServerName}
	if o.CertFile == "" {
		return config, nil
	}
	if _, err := o.pair(); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.pair() }
	return config, nil
}

func (o Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil //nolint:nilnil // no file is no pool, as tls.Config has it
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if o.Besides {
		if system, err := x509.SystemCertPool(); err == nil {
			roots = system
		}
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file %s: it holds no PEM certificate", o.CAFile)
	}
	return roots, nil
}

func (o Options) pair() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read cert_file and key_file: %w", err)
	}
	return &pair, nil
}
