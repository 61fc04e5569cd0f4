package realtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Do asks the server as its administrator, with a body unless it is nil. Any
// status but one of success ends the test. It is plain HTTP on purpose: what a
// driver does is checked without that driver's SDK.
func (v *VaultServer) Do(tb T, method, path string, body map[string]any) map[string]any {
	tb.Helper()
	status, answer := v.try(tb, method, path, body)
	if status < 200 || status > 299 {
		tb.Fatalf("%s %s: %d %v", method, path, status, answer["errors"])
	}
	return answer
}

// Try is Do for requests that may be refused; it returns the status too.
func (v *VaultServer) Try(tb T, method, path string, body map[string]any) (int, map[string]any) {
	tb.Helper()
	return v.try(tb, method, path, body)
}

func (v *VaultServer) try(tb T, method, path string, body map[string]any) (int, map[string]any) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	status, answer, err := v.ask(ctx, method, path, body)
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

// ask does one request. Numbers in the answer are json.Number.
func (v *VaultServer) ask(ctx context.Context, method, path string, body map[string]any) (int, map[string]any, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.Addr+"/v1/"+path, content)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Vault-Token", v.Token)
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer := map[string]any{}
	d := json.NewDecoder(resp.Body)
	d.UseNumber()
	if err := d.Decode(&answer); err != nil && err != io.EOF {
		return resp.StatusCode, nil, err
	}
	return resp.StatusCode, answer, nil
}
