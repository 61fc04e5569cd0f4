package realtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	awsEndpoint = "HANDOVER_TEST_AWS_ENDPOINT"
	awsImage    = "HANDOVER_TEST_AWS_IMAGE"

	awsPinned = "motoserver/moto:5.2.5"
)

// AWSRegion is the region of every secret that a test makes.
const AWSRegion = "us-east-1"

// AWSServer is a running server with the API of AWS Secrets Manager and STS. It
// takes any credentials and checks neither signatures nor permissions.
type AWSServer struct {
	// URL is where both services answer.
	URL string
}

// AWS returns a server, shared with other tests perhaps.
func AWS(tb testing.TB) *AWSServer {
	tb.Helper()
	a := &AWSServer{URL: os.Getenv(awsEndpoint)}
	if a.URL == "" {
		address, err := image{
			name:  imageName(awsImage, awsPinned),
			port:  "5000/tcp",
			ready: wait.ForHTTP("/").WithPort("5000/tcp"),
		}.start(tb)
		if err != nil {
			missing(tb, "%s is not set and no container could be started: %v", awsEndpoint, err)
		}
		a.URL = "http://" + address
	}
	a.URL = strings.TrimRight(a.URL, "/")
	tb.Logf("AWS API at %s, version %s", a.URL, a.version(tb))
	return a
}

// version is what the server says of itself, which is little.
func (a *AWSServer) version(tb testing.TB) string {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, a.URL+"/moto-api/data.json", nil)
	if err != nil {
		tb.Fatalf("ask the server for its version: %v", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatalf("server at %s: %v", a.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	server := resp.Header.Get("Server")
	if resp.StatusCode == http.StatusOK {
		server = "moto on " + server
	}
	return server
}

// Do asks Secrets Manager as an administrator does, beside the code under test.
// It fails the test when the answer is no success.
func (a *AWSServer) Do(tb testing.TB, action string, in map[string]any) map[string]any {
	tb.Helper()
	status, out := a.Try(tb, action, in)
	if status != http.StatusOK {
		tb.Fatalf("%s answers %d %v", action, status, out["__type"])
	}
	return out
}

// Try is Do for an answer of any status.
func (a *AWSServer) Try(tb testing.TB, action string, in map[string]any) (status int, out map[string]any) {
	tb.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		tb.Fatalf("%s: %v", action, err)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, a.URL+"/", bytes.NewReader(body))
	if err != nil {
		tb.Fatalf("%s: %v", action, err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "secretsmanager."+action)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=administrator/20260101/"+AWSRegion+
		"/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatalf("%s: %v", action, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(text, &out) != nil {
		tb.Fatalf("%s answers %d with a body that is not JSON", action, resp.StatusCode)
	}
	return resp.StatusCode, out
}
