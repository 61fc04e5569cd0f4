package awssecrets

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// script is a server that answers as a test says; it is no Secrets Manager. What
// a test doesn't say is answered as for a secret with one version, v1.
type script struct {
	mu      sync.Mutex
	answers map[string]answer
	seen    []string
	bodies  []string
}

type answer struct {
	status int
	header map[string]string
	body   string
}

const (
	described = `{"ARN":"arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf","Name":"x",` +
		`"VersionIdsToStages":{"v1":["AWSCURRENT"]}}`
	payloadOfV1 = "eyJ.first.payload-of-the-scripted-server"
)

// failing is an error as Secrets Manager answers it. A bad server repeats what
// it was sent.
func failing(status int, code string) answer {
	return answer{status, nil, `{"__type":"` + code + `","message":"{echo}"}`}
}

func scripted(t *testing.T, answers map[string]answer) (*script, string) {
	t.Helper()
	s := &script{answers: map[string]answer{
		"DescribeSecret":           {200, nil, described},
		"GetSecretValue":           {200, nil, `{"Name":"x","VersionId":"v1","SecretString":"` + payloadOfV1 + `"}`},
		"PutSecretValue":           {200, nil, `{"Name":"x","VersionId":"v2","VersionStages":["AWSPENDING"]}`},
		"UpdateSecretVersionStage": {200, nil, `{"Name":"x"}`},
		"CreateSecret":             {200, nil, `{"Name":"x","VersionId":"v1"}`},
		"TagResource":              {200, nil, `{}`},
		"RestoreSecret":            {200, nil, `{"Name":"x"}`},
		"ListSecretVersionIds":     {200, nil, `{"Versions":[],"NextToken":""}`},
	}}
	for action, a := range answers {
		s.answers[action] = a
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	body, _ := io.ReadAll(r.Body)
	echo := strconv.Quote(string(body) + r.Header.Get("Authorization"))
	echo = echo[1 : len(echo)-1]
	if action == "" { // STS
		_, rest, _ := strings.Cut(string(body), "Action=")
		action, _, _ = strings.Cut(rest, "&")
		echo = html.EscapeString(echo)
	}
	s.mu.Lock()
	s.seen, s.bodies = append(s.seen, action), append(s.bodies, string(body))
	a := s.answers[action]
	s.mu.Unlock()
	for key, value := range a.header {
		w.Header().Set(key, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, strings.ReplaceAll(a.body, "{echo}", echo))
}

// set changes one answer.
func (s *script) set(action string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[action] = a
}

// asked is how often an action was asked for, and the last body of it.
func (s *script) asked(action string) (count int, last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, seen := range s.seen {
		if seen == action {
			count, last = count+1, s.bodies[i]
		}
	}
	return count, last
}
