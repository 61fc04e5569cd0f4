package azurekeyvault

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/handover-agent/handover/backends/wire"
)

// maxBody bounds what is read of one answer, in bytes.
const maxBody = 1 << 20

// wire is what the options say of the way to the vault and to the login. A
// request to the vault without a login carries nothing and asks for the
// challenge.
func (o *Options) wire() wire.Options {
	vault, _ := url.Parse(o.URL)
	return wire.Options{
		CAFile: o.CAFile, Besides: true, CertFile: o.CertFile, KeyFile: o.KeyFile,
		Timeout: o.Timeout, MaxInFlight: o.MaxInFlight, Rate: o.Rate, MaxBody: maxBody,
		Asks: func(r *http.Request) bool { return vault != nil && strings.EqualFold(r.URL.Host, vault.Host) },
		Acts: func(r *http.Request) bool { return r.Header.Get("Authorization") != "" },
	}
}
