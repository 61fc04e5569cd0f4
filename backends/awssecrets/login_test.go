package awssecrets

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/internal/realtest"
)

const (
	roleARN    = "arn:aws:iam::123456789012:role/handover"
	keyOfRole  = "ASIAROLE000000000000"
	roleSecret = "the-secret-key-that-sts-hands-out-000000"
)

// taken is STS's answer to a role taken on by action.
func taken(action string) answer {
	return answer{200, nil, fmt.Sprintf(`<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>`+
		`<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/handover/x</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>`+
		`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>session</SessionToken>`+
		`<Expiration>%s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, keyOfRole, roleSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))}
}

func stsError(status int, code string) answer {
	return answer{status, nil, `<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>{echo}</Message></Error></ErrorResponse>`}
}

func withRole(endpoint, sts string) *Options {
	o := at(endpoint)
	o.AssumeRole = &AssumeRole{Role: roleARN, ExternalID: "outside", Endpoint: sts}
	return o
}

var refX = backends.Ref{Backend: "aws", Path: "x"}

// recorder remembers the headers of the last request.
type recorder struct {
	next http.Handler
	mu   sync.Mutex
	last http.Header
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.last = req.Header.Clone()
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

// signature is the last request's, which names the access key and the region.
func (r *recorder) signature() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Get("Authorization")
}

// recorded is a scripted store that remembers the last request.
func recorded(t *testing.T) (*recorder, string) {
	t.Helper()
	s, _ := scripted(t, nil)
	r := &recorder{next: s}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, server.URL
}

func TestAssumeRole(t *testing.T) {
	sts, stsURL := scripted(t, map[string]answer{"AssumeRole": taken("AssumeRole")})
	store, storeURL := recorded(t)
	b := opened(t, withRole(storeURL, stsURL))
	for range 2 {
		mustGet(t, b, refX, backends.Current)
	}
	if !strings.Contains(store.signature(), "Credential="+keyOfRole+"/") {
		t.Errorf("the store was asked with %s", store.signature())
	}
	n, last := sts.asked("AssumeRole")
	form, err := url.ParseQuery(last)
	if err != nil || n != 1 {
		t.Fatalf("STS was asked %d times (%v)", n, err)
	}
	for key, want := range map[string]string{"RoleArn": roleARN, "ExternalId": "outside", "RoleSessionName": "handover-test"} {
		if got := form.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestAssumeRoleOnARealServer(t *testing.T) {
	s := realtest.AWS(t)
	o := withRole(s.URL, s.URL)
	o.AssumeRole.SessionName = "mine"
	b, ref := opened(t, o), newRef(t)
	mustPut(t, b, ref, itemOf("eyJ.a.1", 1), backends.Absent)
}

// What STS answers, and what that means.
func TestLoginErrors(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer answer
		kind   error
		says   string
	}{
		{"AccessDenied", stsError(403, "AccessDenied"), denied, "trust policy"},
		{"ExpiredToken", stsError(403, "ExpiredToken"), denied, "log in again"},
		{"ExpiredTokenException", stsError(400, "ExpiredTokenException"), denied, "log in again"},
		{"InvalidClientTokenId", stsError(403, "InvalidClientTokenId"), denied, "access key"},
		{"SignatureDoesNotMatch", stsError(403, "SignatureDoesNotMatch"), denied, "clock"},
		{"InvalidIdentityToken", stsError(400, "InvalidIdentityToken"), denied, "audience"},
		{"RegionDisabledException", stsError(403, "RegionDisabledException"), denied, "check region"},
		{"another code", stsError(400, "PackedPolicyTooLarge"), denied, "PackedPolicyTooLarge"},
		{"Throttling", stsError(400, "Throttling"), throttled, "throttled"},
		{"no STS", answer{200, nil, "<html>please log in</html>"}, away, "no credentials"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, stsURL := scripted(t, map[string]answer{"AssumeRole": row.answer})
			_, storeURL := scripted(t, nil)
			b := opened(t, withRole(storeURL, stsURL))
			_, _, err := b.Get(t.Context(), refX, backends.Current)
			wantError(t, err, row.kind, row.says)
			_, err = b.Put(t.Context(), refX, itemOf("eyJ.a.b", 1), "v1")
			wantError(t, err, row.kind, row.says)
			if strings.Contains(err.Error(), keySecret[:12]) || strings.Contains(err.Error(), "RoleArn=") {
				t.Errorf("the error repeats the request")
			}
		})
	}
}

func TestLoginOutOfReach(t *testing.T) {
	_, storeURL := scripted(t, nil)
	_, _, err := opened(t, withRole(storeURL, nobody(t))).Get(t.Context(), refX, backends.Current)
	wantError(t, err, away, "no credentials", "connection refused")
}

// A login that hangs ends with the caller's context, and with Close.
func TestHangingLogin(t *testing.T) {
	_, storeURL := scripted(t, nil)
	silent := hanging(t)
	as(t, keyOfAgent)
	before := goleak.IgnoreCurrent()
	b := openLogging(t, withRole(storeURL, silent), t.Output())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.Put(ctx, refX, itemOf("eyJ.a.b", 1), "v1")
	wantError(t, err, away, "no answer in time")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	_, storeURL := scripted(t, nil)
	as(t, "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	b := openLogging(t, at(storeURL), t.Output())
	t.Cleanup(func() { _ = b.Close() })
	_, _, err := b.Get(t.Context(), refX, backends.Current)
	wantError(t, err, away, "no credentials", "get-caller-identity")
}

// files writes the shared configuration of the AWS programs.
func files(t *testing.T, text string) {
	t.Helper()
	as(t, "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
}

func TestProfile(t *testing.T) {
	store, storeURL := recorded(t)
	files(t, "[profile handover]\nregion = eu-west-1\naws_access_key_id = AKIAPROFILE000000000\naws_secret_access_key = x\n")
	o := at(storeURL)
	o.Profile = "handover"
	b := openLogging(t, o, t.Output())
	t.Cleanup(func() { _ = b.Close() })
	mustGet(t, b, refX, backends.Current)
	if used := store.signature(); !strings.Contains(used, "AKIAPROFILE000000000/") || !strings.Contains(used, "/us-east-1/") {
		t.Errorf("the store was asked with %s", used)
	}
	o.Profile = "missing"
	_, err := Driver().Open(t.Context(), backends.Env{Name: "aws", Log: b.log}, o)
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a profile that is not there: %v", err)
	}
}

// What a credential process says is not repeated.
func TestCredentialProcess(t *testing.T) {
	_, storeURL := scripted(t, nil)
	files(t, "[default]\ncredential_process = echo {\"SecretAccessKey\":\"a-secret-that-nobody-may-see\"\n")
	b := openLogging(t, at(storeURL), t.Output())
	t.Cleanup(func() { _ = b.Close() })
	_, _, err := b.Get(t.Context(), refX, backends.Current)
	wantError(t, err, away, "no credentials")
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "nobody-may-see") {
		t.Error("the error holds what the process said")
	}
}

// TestWebIdentity is what a pod with an IAM role for its service account finds.
func TestWebIdentity(t *testing.T) {
	sts, stsURL := scripted(t, map[string]answer{"AssumeRoleWithWebIdentity": taken("AssumeRoleWithWebIdentity")})
	store, storeURL := recorded(t)
	files(t, "")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("eyJ.pod.token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ROLE_ARN", roleARN)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ENDPOINT_URL_STS", stsURL)
	b := openLogging(t, at(storeURL), t.Output())
	t.Cleanup(func() { _ = b.Close() })
	mustGet(t, b, refX, backends.Current)
	if _, last := sts.asked("AssumeRoleWithWebIdentity"); !strings.Contains(last, "WebIdentityToken=eyJ.pod.token") {
		t.Error("STS did not get the pod's token")
	}
	if used := store.signature(); !strings.Contains(used, keyOfRole) {
		t.Errorf("the store was asked with %s", used)
	}
}

// TestContainerRole is what a task of ECS or a pod identity of EKS finds.
func TestContainerRole(t *testing.T) {
	store, storeURL := recorded(t)
	files(t, "")
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"AccessKeyId":%q,"SecretAccessKey":%q,"Token":"t","Expiration":%q}`,
			keyOfRole, roleSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(agent.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL)
	b := openLogging(t, at(storeURL), t.Output())
	t.Cleanup(func() { _ = b.Close() })
	mustGet(t, b, refX, backends.Current)
	if used := store.signature(); !strings.Contains(used, keyOfRole) {
		t.Errorf("the store was asked with %s", used)
	}
}

// TestInstanceRole is what a virtual machine of EC2 finds.
func TestInstanceRole(t *testing.T) {
	store, storeURL := recorded(t)
	files(t, "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = io.WriteString(w, "session")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			_, _ = io.WriteString(w, "handover")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/handover":
			_, _ = fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":"t","Expiration":%q}`,
				keyOfRole, roleSecret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(machine.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.URL)
	b := openLogging(t, at(storeURL), t.Output())
	t.Cleanup(func() { _ = b.Close() })
	mustGet(t, b, refX, backends.Current)
	if used := store.signature(); !strings.Contains(used, keyOfRole) {
		t.Errorf("the store was asked with %s", used)
	}
}

// An endpoint of another region refuses the signature, and the error says where
// to look.
func TestWrongRegion(t *testing.T) {
	s := onReal(t)
	o := at(s.url)
	o.Region = "eu-west-1"
	b, ref := opened(t, o), newRef(t)
	wantError(t, b.Check(t.Context(), ref), denied, "check "+ref.String(), "DescribeSecret", "endpoint is another region's")
}

// A wrong clock is refused once; the next call uses AWS's time.
func TestClockSkew(t *testing.T) {
	ahead := time.Now().Add(time.Hour)
	s, _ := scripted(t, nil)
	var mu sync.Mutex
	var dates []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		dates = append(dates, r.Header.Get("X-Amz-Date"))
		w.Header().Set("Date", ahead.UTC().Format(http.TimeFormat))
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || ahead.Sub(at).Abs() > 5*time.Minute {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"InvalidSignatureException","message":"Signature expired"}`)
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b := opened(t, at(server.URL))
	_, _, err := b.Get(t.Context(), refX, backends.Current)
	wantError(t, err, denied, "clock")
	if _, _, err := b.Get(t.Context(), refX, backends.Current); err != nil {
		t.Errorf("the next call fails too: %v (it was dated %v)", err, dates)
	}
}

// The environment can't lead the payload elsewhere.
func TestEndpointOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", nobody(t))
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", nobody(t))
	_, storeURL := scripted(t, nil)
	mustGet(t, opened(t, at(storeURL)), refX, backends.Current)
	b := opened(t, at(""))
	if o := b.client.Options(); o.BaseEndpoint != nil {
		t.Errorf("without an endpoint the environment's is used: %s", *o.BaseEndpoint)
	}
}

func TestTLS(t *testing.T) {
	s, _ := scripted(t, nil)
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := at(server.URL)
	o.CAFile = file
	b := opened(t, o)
	mustGet(t, b, refX, backends.Current)
	for name, content := range map[string]string{"empty": "", "no certificate": "hello"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Driver().Open(t.Context(), backends.Env{Name: "aws", Log: b.log}, o); err == nil || !strings.Contains(err.Error(), "no PEM") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.CAFile, o.CertFile, o.KeyFile = "", filepath.Join(t.TempDir(), "none"), file
	if _, err := Driver().Open(t.Context(), backends.Env{Name: "aws", Log: b.log}, o); err == nil || !strings.Contains(err.Error(), "cert_file") {
		t.Errorf("a client certificate that is not there: %v", err)
	}
	o.CertFile, o.KeyFile = "", ""
	o.CAFile = filepath.Join(t.TempDir(), "none")
	if _, err := Driver().Open(t.Context(), backends.Env{Name: "aws", Log: b.log}, o); err == nil {
		t.Error("a file that is not there is no error")
	}
}
