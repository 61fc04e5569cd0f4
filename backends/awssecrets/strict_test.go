package awssecrets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handover-agent/handover/internal/realtest"
)

// strict stands before a server that is looser than AWS, and refuses what AWS
// documents to refuse: names, sizes, tags, labels, what a scheduled deletion
// forbids, credentials, the clock, the policy. Requests pass one at a time.
type strict struct {
	next http.RoundTripper
	// policies are the actions that each access key may take.
	policies map[string][]string

	mu    sync.Mutex
	calls []string
}

// refusal is an answer that AWS gives to a bad request.
type refusal struct {
	status     int
	code, says string
}

func no(code, format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func badParameter(format string, args ...any) *refusal {
	return no("InvalidParameterException", format, args...)
}

// request is what Secrets Manager is asked.
type request struct {
	action string
	header http.Header
	in     struct {
		Name, SecretID, SecretString, Description, ClientRequestToken *string
		VersionStage, MoveToVersionID, RemoveFromVersionID            *string
		VersionStages                                                 []string
		Tags                                                          []struct{ Key, Value string }
	}
}

// description is what the server says of the secret now.
type description struct {
	ARN                string
	DeletedDate        *float64
	VersionIDsToStages map[string][]string `json:"VersionIdsToStages"`
	Tags               []struct{ Key, Value string }
	// hasTarget: the version that a label is to be moved to exists.
	hasTarget bool
}

// RoundTrip implements http.RoundTripper.
func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	if !ok { // STS
		return s.next.RoundTrip(r)
	}
	s.calls = append(s.calls, action)
	q := request{action: action, header: r.Header}
	if err := json.Unmarshal(body, &q.in); err != nil {
		return answerTo(r, no("SerializationException", "no JSON")), nil
	}
	if refused := s.judge(r, q); refused != nil {
		return answerTo(r, refused), nil
	}
	return s.next.RoundTrip(r)
}

func answerTo(r *http.Request, x *refusal) *http.Response {
	body := fmt.Sprintf(`{"__type":%q,"message":%q}`, x.code, x.says)
	return &http.Response{StatusCode: x.status, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func (s *strict) judge(r *http.Request, q request) *refusal {
	if x := s.whoAsks(q); x != nil {
		return x
	}
	now, err := s.describe(r, q)
	if err != nil {
		return &refusal{http.StatusInternalServerError, "InternalServiceError", err.Error()}
	}
	for _, rule := range []func(request, description) *refusal{sizes, names, tagRules, deletion, versions, labels} {
		if x := rule(q, now); x != nil {
			return x
		}
	}
	return nil
}

var credential = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/secretsmanager/aws4_request, SignedHeaders=[^,]*x-amz-date[^,]*, Signature=[0-9a-f]{64}$`)

// whoAsks checks key, time and policy; the signature itself is not computed.
func (s *strict) whoAsks(q request) *refusal {
	parts := credential.FindStringSubmatch(q.header.Get("Authorization"))
	if parts == nil {
		return no("IncompleteSignatureException", "no signature of version 4")
	}
	at, err := time.Parse("20060102T150405Z", q.header.Get("X-Amz-Date"))
	if skew := time.Since(at); err != nil || skew.Abs() > 5*time.Minute {
		return no("InvalidSignatureException", "Signature expired")
	}
	if parts[3] != realtest.AWSRegion {
		return no("InvalidSignatureException", "Credential should be scoped to a valid region")
	}
	allowed, known := s.policies[parts[1]]
	switch {
	case !known:
		return no("UnrecognizedClientException", "The security token included in the request is invalid.")
	case !slices.Contains(allowed, "secretsmanager:"+q.action):
		return no("AccessDeniedException", "not authorized to perform secretsmanager:%s", q.action)
	case q.action == "CreateSecret" && len(q.in.Tags) > 0 && !slices.Contains(allowed, "secretsmanager:TagResource"):
		return no("AccessDeniedException", "not authorized to perform secretsmanager:TagResource")
	}
	return nil
}

// describe asks the server itself, as the caller.
func (s *strict) describe(r *http.Request, q request) (description, error) {
	id := q.in.SecretID
	if id == nil {
		id = q.in.Name
	}
	var d description
	if _, err := s.ask(r, "DescribeSecret", map[string]*string{"SecretId": id}, &d); err != nil {
		return description{}, err
	}
	if to := q.in.MoveToVersionID; to != nil { // which may have no label
		var err error
		d.hasTarget, err = s.ask(r, "GetSecretValue", map[string]*string{"SecretId": id, "VersionId": to}, &struct{}{})
		return d, err
	}
	return d, nil
}

// ask reports whether the server answers, and fills out when it does.
func (s *strict) ask(r *http.Request, action string, in, out any) (bool, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return false, err
	}
	ask := r.Clone(r.Context())
	ask.Header.Set("X-Amz-Target", "secretsmanager."+action)
	ask.Body, ask.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := s.next.RoundTrip(ask)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return false, nil
	}
	return true, json.NewDecoder(resp.Body).Decode(out)
}

func sizes(q request, _ description) *refusal {
	if v := q.in.SecretString; v != nil && (*v == "" || len(*v) > 65536) {
		return badParameter("SecretString has %d bytes", len(*v))
	}
	if v := q.in.Description; v != nil && len(*v) > 2048 {
		return badParameter("Description has %d bytes", len(*v))
	}
	writes := q.in.SecretString != nil
	if v := q.in.ClientRequestToken; writes && (v == nil || len(*v) < 32 || len(*v) > 64) {
		return badParameter("ClientRequestToken must have 32 to 64 characters")
	}
	return nil
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
var likeARN = regexp.MustCompile(`-.{6}$`)

func names(q request, _ description) *refusal {
	for _, name := range []*string{q.in.Name, q.in.SecretID} {
		if name != nil && (!nameRule.MatchString(*name) || likeARN.MatchString(*name)) {
			return no("ValidationException", "Invalid name")
		}
	}
	return nil
}

func tagRules(q request, now description) *refusal {
	keys := map[string]bool{}
	for _, tag := range now.Tags {
		keys[tag.Key] = true
	}
	for _, tag := range q.in.Tags {
		keys[tag.Key] = true
		if tag.Key == "" || len(tag.Key) > 128 || len(tag.Value) > 256 || strings.HasPrefix(tag.Key, "aws:") ||
			!tagPattern.MatchString(tag.Key) || !tagPattern.MatchString(tag.Value) {
			return badParameter("a tag is not allowed")
		}
	}
	if len(keys) > 50 {
		return no("LimitExceededException", "more than 50 tags")
	}
	return nil
}

func deletion(q request, now description) *refusal {
	reads := []string{"DescribeSecret", "RestoreSecret", "DeleteSecret"}
	if now.DeletedDate != nil && !slices.Contains(reads, q.action) {
		return no("InvalidRequestException", "the secret is marked for deletion")
	}
	return nil
}

// versions: a put names its labels, for the server moves AWSCURRENT when a put
// without them is repeated.
func versions(q request, now description) *refusal {
	if q.action != "PutSecretValue" || now.ARN == "" {
		return nil
	}
	if len(q.in.VersionStages) == 0 {
		return badParameter("VersionStages is missing")
	}
	used := map[string]bool{}
	for _, of := range now.VersionIDsToStages {
		for _, label := range of {
			used[label] = true
		}
	}
	for _, label := range q.in.VersionStages {
		used[label] = true
	}
	if len(used) > 20 {
		return no("LimitExceededException", "more than 20 labels")
	}
	return nil
}

// labels: a label goes from the version where it stands, or not at all.
func labels(q request, now description) *refusal {
	if q.action != "UpdateSecretVersionStage" || now.ARN == "" {
		return nil
	}
	label, holder := *q.in.VersionStage, ""
	for id, of := range now.VersionIDsToStages {
		if slices.Contains(of, label) {
			holder = id
		}
	}
	to, from := q.in.MoveToVersionID, q.in.RemoveFromVersionID
	switch {
	case from == nil && holder != "":
		return badParameter("RemoveFromVersionId can't be empty: %s is attached to %s", label, holder)
	case from != nil && *from != holder:
		return badParameter("%s is not attached to %s", label, *from)
	case to == nil && from == nil:
		return badParameter("neither MoveToVersionId nor RemoveFromVersionId")
	case to == nil && label == labelCurrent:
		return badParameter("AWSCURRENT can't be removed")
	case to != nil && !now.hasTarget:
		return no("ResourceNotFoundException", "there is no version %s", *to)
	case to != nil && from != nil && *to == *from:
		return badParameter("both versions are the same")
	}
	return nil
}

// count is how often each action was asked for since the last count.
func (s *strict) count() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for _, action := range s.calls {
		all[action]++
	}
	s.calls = nil
	return maps.Clone(all)
}
