package azurekeyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/backends/wire"
)

// newClient makes the vault's client. It takes no configuration from the
// environment; the ways to log in take what Azure documents for them.
func newClient(o Options, t *wire.Transport) (*azsecrets.Client, error) {
	common := azcore.ClientOptions{Transport: t.Client()}
	if u, err := url.Parse(o.URL); err == nil {
		d, _ := domainOf(u.Hostname())
		common.Cloud = d.configuration
	}
	for _, d := range domains() {
		if d.cloud == o.Cloud {
			common.Cloud = d.configuration
		}
	}
	store := common
	store.APIVersion = o.APIVersion
	store.Retry = policy.RetryOptions{MaxRetries: -1} // a write again would be another version; the engine decides
	client, err := azsecrets.NewClient(o.URL, &login{auth: o.Auth, client: common, emulator: o.Emulator},
		&azsecrets.ClientOptions{ClientOptions: store, DisableChallengeResourceVerification: o.Emulator})
	if err != nil {
		return nil, fmt.Errorf("make the client: %w", err)
	}
	return client, nil
}

// login is the credential of one backend. What it needs from files and
// variables is read at the first use, and again when a new login is due. Its
// errors are verdicts that never say UnknownOutcome. The SDK tries a login
// again when the login server fails, within the call's time.
type login struct {
	auth     Auth
	client   azcore.ClientOptions
	emulator bool

	mu   sync.Mutex
	made azcore.TokenCredential
	from secret.Fingerprint
}

// GetToken implements azcore.TokenCredential.
func (l *login) GetToken(ctx context.Context, asked policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if l.auth.TenantID != "" && asked.TenantID != "" && !strings.EqualFold(l.auth.TenantID, asked.TenantID) {
		return azcore.AccessToken{}, verdict{kind: backends.ErrDenied, err: fmt.Errorf(
			"the vault belongs to the tenant %.64q, and auth.tenant_id is another: correct url or auth.tenant_id", asked.TenantID)}
	}
	credential, err := l.credential()
	if err != nil {
		return azcore.AccessToken{}, err
	}
	token, err := credential.GetToken(ctx, asked)
	if err != nil {
		return azcore.AccessToken{}, l.refused(ctx, err)
	}
	return token, nil
}

// credential is the SDK's, made anew when the declared file or variable has
// changed.
func (l *login) credential() (azcore.TokenCredential, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var proof secret.Value
	var err error
	switch l.auth.Method {
	case methodSecret:
		proof, err = l.auth.ClientSecret.Read()
	case methodCertificate:
		proof, err = l.auth.ClientCertificate.Read()
	}
	if err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: err}
	}
	if l.made != nil && l.from == proof.Fingerprint() {
		return l.made, nil
	}
	made, err := l.make(proof)
	if err != nil {
		return nil, verdict{kind: backends.ErrUnavailable, err: fmt.Errorf("log in by %s: %w", l.auth.Method, err)}
	}
	l.made, l.from = made, proof.Fingerprint()
	return made, nil
}

func (l *login) make(proof secret.Value) (azcore.TokenCredential, error) {
	a := l.auth
	switch a.Method {
	case methodWorkload:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: l.client, DisableInstanceDiscovery: l.emulator,
			TenantID: a.TenantID, ClientID: a.ClientID, TokenFilePath: a.TokenFile,
		})
	case methodManaged:
		options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: l.client}
		if a.ClientID != "" {
			options.ID = azidentity.ClientID(a.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(options)
	case methodSecret:
		return azidentity.NewClientSecretCredential(a.TenantID, a.ClientID, proof.Reveal(),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: l.client, DisableInstanceDiscovery: l.emulator})
	case methodCertificate:
		certificates, key, err := azidentity.ParseCertificates([]byte(proof.Reveal()), nil)
		if err != nil || key == nil {
			return nil, fmt.Errorf("%s holds no certificate with an unencrypted private key in PEM", a.ClientCertificate)
		}
		return azidentity.NewClientCertificateCredential(a.TenantID, a.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{
				ClientOptions: l.client, DisableInstanceDiscovery: l.emulator, SendCertificateChain: true,
			})
	}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: l.client, DisableInstanceDiscovery: l.emulator, TenantID: a.TenantID,
	})
}

// refused is the verdict on a login that failed. The login server's words are
// not passed on, only its numbers: they can repeat what was sent.
func (l *login) refused(ctx context.Context, err error) verdict {
	if ctx.Err() != nil {
		return verdict{kind: backends.ErrUnavailable, err: ctx.Err()}
	}
	say := func(kind error, format string, args ...any) verdict {
		return verdict{kind: kind, err: fmt.Errorf("log in by %s: %s", l.auth.Method, fmt.Sprintf(format, args...))}
	}
	var failed *azidentity.AuthenticationFailedError
	switch {
	case !errors.As(err, &failed) && l.auth.Method == methodDefault:
		return say(backends.ErrUnavailable, "nothing of Azure's default chain can log in here: name a way in auth.method")
	case !errors.As(err, &failed):
		return say(backends.ErrUnavailable, "it could not be done here: check auth, and whether this machine has such an identity")
	case failed.RawResponse == nil:
		return say(backends.ErrUnavailable, "the login server gave no answer that could be used: check the way to it, a proxy, and ca_file")
	}
	status := failed.RawResponse.StatusCode
	switch {
	case status == http.StatusTooManyRequests:
		v := say(backends.ErrThrottled, "the login server answered 429")
		v.wait = retryAfter(failed.RawResponse)
		return v
	case status >= 500:
		return say(backends.ErrUnavailable, "the login server answered %d", status)
	case l.auth.Method == methodManaged:
		return say(backends.ErrDenied, "the identity endpoint answered %d: assign the identity to this machine, or correct auth.client_id", status)
	}
	code, remedy := entraCode(failed.RawResponse)
	return say(backends.ErrDenied, "the login server answered %d%s: %s", status, code, remedy)
}

// remedies are Entra's error numbers that a mistake in the declaration, or one
// in the tenant, leads to (Microsoft's list of AADSTS error codes).
var remedies = map[int]string{
	50012:   "the certificate or the assertion is not the application's, or the clock is wrong",
	90002:   "there is no such tenant: correct auth.tenant_id, or cloud",
	700016:  "the tenant has no such application: correct auth.client_id or auth.tenant_id",
	700024:  "the assertion is outside its time: correct the clock, or renew the token file",
	700027:  "the certificate is not registered with the application, or has expired",
	70021:   "no federated credential of the application fits the token file: compare issuer, subject and audience",
	700213:  "no federated credential of the application fits the token file: compare issuer, subject and audience",
	7000215: "the client secret is wrong: it must be the secret's value, not its id",
	7000222: "the client secret has expired: make a new one",
}

// entraCode reads the number in an answer of Entra and what to do about it.
func entraCode(resp *http.Response) (code, remedy string) {
	remedy = "check tenant, client id and what it logs in with"
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", remedy
	}
	var form struct {
		Codes []int `json:"error_codes"`
	}
	if json.Unmarshal(body, &form) != nil || len(form.Codes) == 0 {
		return "", remedy
	}
	if known, ok := remedies[form.Codes[0]]; ok {
		remedy = known
	}
	return fmt.Sprintf(" (AADSTS%d)", form.Codes[0]), remedy
}
