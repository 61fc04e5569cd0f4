package awssecrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
	"github.com/handover-agent/handover/internal/realtest"
)

// signed are the headers of a request that strict lets through, for what moto
// is asked isn't signed for.
func signed(key string, when time.Time) http.Header {
	return http.Header{
		"Content-Type": {"application/x-amz-json-1.1"},
		"X-Amz-Date":   {when.UTC().Format("20060102T150405Z")},
		"Authorization": {fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/secretsmanager/aws4_request, "+
			"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=%064d", key, when.UTC().Format("20060102"), realtest.AWSRegion, 0)},
	}
}

// ask sends a request to strict as it is.
func (s store) ask(t *testing.T, action string, in map[string]any, header http.Header) (int, string) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("X-Amz-Target", "secretsmanager."+action)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// broken is a request that breaks one rule, and what AWS answers.
type broken struct {
	name, action string
	in           map[string]any
	header       http.Header
	code         string
}

// setting is what the rules are tried on: a secret with two versions, and one
// that is scheduled for deletion.
type setting struct {
	path, gone string
	v1, v2     any
	good       http.Header
}

func (x setting) put(changed map[string]any) map[string]any {
	in := map[string]any{"SecretId": x.path, "SecretString": "3", "ClientRequestToken": strings.Repeat("t", 32), "VersionStages": []string{"X"}}
	maps.Copy(in, changed)
	return in
}

func (x setting) tag(key, value string) map[string]any {
	return map[string]any{"SecretId": x.path, "Tags": []any{map[string]any{"Key": key, "Value": value}}}
}

func (x setting) move(label string, to, from any) map[string]any {
	in := map[string]any{"SecretId": x.path, "VersionStage": label}
	if to != nil {
		in["MoveToVersionId"] = to
	}
	if from != nil {
		in["RemoveFromVersionId"] = from
	}
	return in
}

func newSetting(t *testing.T, s store) setting {
	t.Helper()
	x := setting{path: newRef(t).Path, gone: newRef(t).Path, good: signed(keyOfAgent, time.Now())}
	x.v1 = s.Do(t, "CreateSecret", map[string]any{"Name": x.path, "SecretString": "1"})["VersionId"]
	x.v2 = s.Do(t, "PutSecretValue", map[string]any{"SecretId": x.path, "SecretString": "2", "VersionStages": []string{"MINE"}})["VersionId"]
	s.Do(t, "CreateSecret", map[string]any{"Name": x.gone, "SecretString": "1"})
	s.Do(t, "DeleteSecret", map[string]any{"SecretId": x.gone})
	return x
}

// whoRules are broken by who asks.
func whoRules(x setting) []broken {
	plain, now := x.put(nil), time.Now()
	tagged := map[string]any{"Name": x.path + "2", "Tags": []any{map[string]any{"Key": "a", "Value": "b"}}}
	return []broken{
		{"not signed", "DescribeSecret", plain, http.Header{}, "IncompleteSignatureException"},
		{"an old signature", "DescribeSecret", plain, signed(keyOfAgent, now.Add(-time.Hour)), "InvalidSignatureException"},
		{"an unknown key", "DescribeSecret", plain, signed("SOMEBODY", now), "UnrecognizedClientException"},
		{"no policy", "PutSecretValue", plain, signed("READER", now), "AccessDeniedException"},
		{"no policy for tags", "CreateSecret", tagged, signed("READER", now), "AccessDeniedException"},
	}
}

// valueRules are broken by what is written.
func valueRules(x setting) []broken {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("LABEL%d", i)
	}
	const bad = "InvalidParameterException"
	return []broken{
		{"a name", "CreateSecret", map[string]any{"Name": "a b"}, x.good, "ValidationException"},
		{"a name like an ARN", "CreateSecret", map[string]any{"Name": "name-AbCdEf"}, x.good, "ValidationException"},
		{"a large value", "PutSecretValue", x.put(map[string]any{"SecretString": strings.Repeat("a", 65537)}), x.good, bad},
		{"an empty value", "PutSecretValue", x.put(map[string]any{"SecretString": ""}), x.good, bad},
		{"a long description", "CreateSecret", map[string]any{"Name": x.path + "2", "Description": strings.Repeat("a", 2049)}, x.good, bad},
		{"a short token", "PutSecretValue", x.put(map[string]any{"ClientRequestToken": "short"}), x.good, bad},
		{"no labels", "PutSecretValue", x.put(map[string]any{"VersionStages": nil}), x.good, bad},
		{"many labels", "PutSecretValue", x.put(map[string]any{"VersionStages": many}), x.good, "LimitExceededException"},
		{"a tag's value", "TagResource", x.tag("a", "<b>"), x.good, bad},
		{"a tag's length", "TagResource", x.tag("a", strings.Repeat("b", 257)), x.good, bad},
		{"AWS's own tag", "TagResource", x.tag("aws:a", "b"), x.good, bad},
	}
}

// stateRules are broken by what stands there.
func stateRules(x setting) []broken {
	const bad, state = "InvalidParameterException", "InvalidRequestException"
	return []broken{
		{"a put while deleted", "PutSecretValue", x.put(map[string]any{"SecretId": x.gone}), x.good, state},
		{"a tag while deleted", "TagResource", map[string]any{"SecretId": x.gone, "Tags": []any{}}, x.good, state},
		{"a create while deleted", "CreateSecret", map[string]any{"Name": x.gone}, x.good, state},
		{"a move while deleted", "UpdateSecretVersionStage", map[string]any{"SecretId": x.gone, "VersionStage": "X"}, x.good, state},
		{"a move from nowhere", "UpdateSecretVersionStage", x.move("MINE", x.v1, nil), x.good, bad},
		{"a move from elsewhere", "UpdateSecretVersionStage", x.move(labelCurrent, x.v2, x.v2), x.good, bad},
		{"a move of nothing", "UpdateSecretVersionStage", x.move("NEW", nil, nil), x.good, bad},
		{"a move to the same", "UpdateSecretVersionStage", x.move(labelCurrent, x.v1, x.v1), x.good, bad},
		{"no current version", "UpdateSecretVersionStage", x.move(labelCurrent, nil, x.v1), x.good, bad},
		{"a move to nothing", "UpdateSecretVersionStage", x.move("MINE", strings.Repeat("t", 32), x.v2), x.good, "ResourceNotFoundException"},
	}
}

// TestStrictRefuses: each rule that moto lacks, broken once.
func TestStrictRefuses(t *testing.T) {
	s := onReal(t)
	s.strict.policies["READER"] = []string{"secretsmanager:DescribeSecret", "secretsmanager:CreateSecret"}
	x := newSetting(t, s)
	for _, rule := range slices.Concat(whoRules(x), valueRules(x), stateRules(x)) {
		t.Run(rule.name, func(t *testing.T) {
			status, text := s.ask(t, rule.action, rule.in, rule.header)
			if status != http.StatusBadRequest || !strings.Contains(text, rule.code) {
				t.Errorf("it answers %d %s, want %s", status, text, rule.code)
			}
		})
	}
	if status, text := s.ask(t, "PutSecretValue", x.put(nil), x.good); status != http.StatusOK {
		t.Errorf("a good request is answered %d %s", status, text)
	}
	for i := range maxTags {
		s.Do(t, "TagResource", x.tag(fmt.Sprintf("k%d", i), ""))
	}
	if _, text := s.ask(t, "TagResource", x.tag("one-more", ""), x.good); !strings.Contains(text, "LimitExceededException") {
		t.Errorf("the 51st tag is answered %s", text)
	}
}

// Without one of the manual's actions the agent is told so: the policy holds
// none that isn't needed.
func TestPolicyIsTheSmallest(t *testing.T) {
	s := onReal(t)
	whole := agentPolicy(t)
	for _, lacking := range whole {
		t.Run(lacking, func(t *testing.T) {
			s.strict.policies[keyOfAgent] = without(whole, lacking)
			o := at(s.url)
			o.Recover = true
			b, ref := opened(t, o), newRef(t)
			if err := useAll(t, s, b, ref); err == nil || !strings.Contains(err.Error(), "policy") {
				t.Errorf("without it the agent fails with %v", err)
			}
		})
	}
	s.strict.policies[keyOfAgent] = whole
	o := at(s.url)
	o.Recover = true
	if err := useAll(t, s, opened(t, o), newRef(t)); err != nil {
		t.Errorf("with all of them: %v", err)
	}
}

func without(all []string, one string) []string {
	var rest []string
	for _, other := range all {
		if other != one {
			rest = append(rest, other)
		}
	}
	return rest
}

// useAll does all that the agent does to a secret. That it can't count older
// versions is no error, and told in the log; here it is one.
func useAll(t *testing.T, s store, b *backend, ref backends.Ref) error {
	t.Helper()
	var log bytes.Buffer
	b.log = slog.New(slog.NewTextHandler(&log, nil))
	v1, err := b.Put(t.Context(), ref, itemOf("eyJ.a.1", 1), backends.Absent)
	if err != nil {
		return err
	}
	b.puts = newAllowance() // as after a restart
	s.Do(t, "DeleteSecret", map[string]any{"SecretId": ref.Path})
	v2, err := b.PutPending(t.Context(), ref, itemOf("eyJ.a.2", 2))
	if err != nil {
		return err
	}
	if err := b.Promote(t.Context(), ref, v2, v1); err != nil {
		return err
	}
	if _, _, err = b.Get(t.Context(), ref, backends.Current); err != nil {
		return err
	}
	if strings.Contains(log.String(), "policy lacks") {
		return errors.New(log.String())
	}
	return nil
}
