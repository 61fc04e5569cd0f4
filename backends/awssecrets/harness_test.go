package awssecrets

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/backends/secret"
	"github.com/handover-agent/handover/internal/realtest"
)

// The access keys that strict knows, and one secret key for all.
const (
	keyOfAgent  = "AKIAAGENT00000000000"
	keyOfNobody = "AKIADENIED0000000000"
	keySecret   = "wJalrXUtnFEMI-K7MDENG-the-secret-of-the-tests"
)

// action finds the actions in the policy that the manual gives.
var action = regexp.MustCompile(`"(secretsmanager:[A-Za-z]+)"`)

// agentPolicy are the actions that the manual's policy allows, restoring
// included.
func agentPolicy(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/backends/aws-secrets-manager.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, found := range action.FindAllStringSubmatch(string(page), -1) {
		all = append(all, found[1])
	}
	if len(all) < 6 {
		t.Fatalf("the manual's policy has %d actions, that can't be all", len(all))
	}
	return all
}

// store is a server with strict before it.
type store struct {
	*realtest.AWSServer
	strict *strict
	// url is where strict listens.
	url string
}

func onReal(t *testing.T) store {
	t.Helper()
	server := realtest.AWS(t)
	s := &strict{next: http.DefaultTransport, policies: map[string][]string{keyOfAgent: agentPolicy(t), keyOfNobody: nil}}
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Transport: s,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	})
	t.Cleanup(front.Close)
	return store{server, s, front.URL}
}

// as makes the SDK's default chain find just this access key.
func as(t *testing.T, key string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": keySecret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
}

func at(endpoint string) *Options {
	return &Options{
		Region: realtest.AWSRegion, Endpoint: endpoint, Timeout: 10 * time.Second, Description: defaultDescription, Rate: 10_000,
	}
}

// opened is a backend of the agent that the test closes at its end.
func opened(t *testing.T, o *Options) *backend {
	t.Helper()
	as(t, keyOfAgent)
	b := openLogging(t, o, io.Discard)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// openLogging leaves the closing to the test.
func openLogging(t *testing.T, o *Options, log io.Writer) *backend {
	t.Helper()
	env := backends.Env{
		Name:    "aws",
		AgentID: "test",
		Log:     slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b, err := Driver().Open(context.Background(), env, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return b.(*backend)
}

func newRef(t *testing.T) backends.Ref {
	return backends.Ref{Backend: "aws", Path: "airflow/connections/" + realtest.Name(t)}
}

func itemOf(payload string, generation uint64) backends.Item {
	v := secret.New(payload)
	return backends.Item{Payload: v, Meta: backends.Meta{
		Slot:       "pipeline@service/production",
		Generation: generation,
		TokenID:    456,
		Token:      v.Fingerprint(),
		Expires:    time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
}

func mustPut(t *testing.T, b *backend, ref backends.Ref, item backends.Item, prev backends.Version) backends.Version {
	t.Helper()
	v, err := b.Put(t.Context(), ref, item, prev)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return v
}

func mustStage(t *testing.T, b *backend, ref backends.Ref, item backends.Item) backends.Version {
	t.Helper()
	v, err := b.PutPending(t.Context(), ref, item)
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	return v
}

func mustGet(t *testing.T, b *backend, ref backends.Ref, at backends.Stage) (backends.Item, backends.Version) {
	t.Helper()
	item, v, err := b.Get(t.Context(), ref, at)
	if err != nil {
		t.Fatalf("get %s: %v", at, err)
	}
	return item, v
}

// wantError fails the test unless err is of the kind and says all phrases.
func wantError(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(backends.KindOf(err), kind) || err == nil {
		t.Errorf("error %v is of kind %v, want %v", err, backends.KindOf(err), kind)
		return
	}
	for _, phrase := range says {
		if !strings.Contains(err.Error(), phrase) {
			t.Errorf("error %q does not say %q", err, phrase)
		}
	}
}

// overwrite makes a payload current as another hand does. A put with
// AWSCURRENT would do on AWS; moto then leaves the label on the version before
// too, if that got it by a move.
func (s store) overwrite(t *testing.T, path, payload string) {
	t.Helper()
	status, _ := s.Try(t, "DescribeSecret", map[string]any{"SecretId": path})
	if status != http.StatusOK {
		s.Do(t, "CreateSecret", map[string]any{"Name": path, "SecretString": payload})
		return
	}
	s.Do(t, "RestoreSecret", map[string]any{"SecretId": path})
	const label = "ANOTHER_HAND"
	before := s.labelsOf(t, path)
	now := s.Do(t, "PutSecretValue", map[string]any{"SecretId": path, "SecretString": payload, "VersionStages": []string{label}})["VersionId"]
	move := map[string]any{"SecretId": path, "VersionStage": labelCurrent, "MoveToVersionId": now}
	if current := before[labelCurrent]; current != "" {
		move["RemoveFromVersionId"] = current
		s.Do(t, "UpdateSecretVersionStage", move)
	}
	s.Do(t, "UpdateSecretVersionStage", map[string]any{"SecretId": path, "VersionStage": label, "RemoveFromVersionId": now})
}

// labelsOf are the versions of a secret by label, as its administrator sees
// them.
func (s store) labelsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	of, _ := s.Do(t, "DescribeSecret", map[string]any{"SecretId": path})["VersionIdsToStages"].(map[string]any)
	for id, list := range of {
		for _, label := range list.([]any) {
			all[label.(string)] = id
		}
	}
	return all
}

// tagsOf are the tags of a secret, as its administrator sees them.
func (s store) tagsOf(t *testing.T, path string) tags {
	t.Helper()
	all := tags{}
	list, _ := s.Do(t, "DescribeSecret", map[string]any{"SecretId": path})["Tags"].([]any)
	for _, entry := range list {
		tag, _ := entry.(map[string]any)
		all[tag["Key"].(string)] = tag["Value"].(string)
	}
	return all
}
