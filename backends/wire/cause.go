package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
)

// Cause is err as a person should read it: without the method and URL that
// net/http puts before it, for the place is in the error already, and with what
// to do where the network or TLS says enough. It unwraps to a context's end. at
// are the declaration's keys that say where the server is, such as "url". nil
// stays nil.
func Cause(err error, at string) error {
	var u *url.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed):
		return ErrClosed
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	}
	if known := Network(err, at); known != nil {
		return known
	}
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Network is the part of err that the network or TLS made, with what to do; nil
// where neither did. It passes on no text of an SDK.
func Network(err error, at string) error {
	var untrusted *tls.CertificateVerificationError
	var proxy *proxyError
	var unknown *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s: %w", distrust(untrusted, at), untrusted.Err)
	case errors.As(err, &proxy):
		return proxy
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Errorf("the proxy can't be reached: check HTTPS_PROXY and NO_PROXY: %w", op.Err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's name can't be found: check %s, the name server and the proxy: %w", at, unknown)
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Errorf("the server ends the TLS: check that cert_file holds a client certificate that it accepts: %w", op.Err)
	case errors.As(err, &op):
		return op
	}
	return nil
}

// distrust says why the server's certificate isn't trusted, and what to do.
func distrust(e *tls.CertificateVerificationError, at string) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(e.Err, &name):
		return "the server's certificate is not trusted, for it is another host's: check " + at
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate is not trusted, for it is outside its time: renew it, or set this machine's clock"
	}
	return "the server's certificate is not trusted: name its authority in ca_file"
}

// proxyError is a proxy that makes no way to the server.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d and makes no way to the server: allow it there, or name the server in NO_PROXY", e.host, e.status)
}
