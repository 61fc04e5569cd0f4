package awssecrets

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handover-agent/handover/backends"
)

func TestOptionsThatPass(t *testing.T) {
	for name, o := range map[string]Options{
		"least":    {Region: "us-east-1"},
		"gov":      {Region: "us-gov-west-1"},
		"china":    {Region: "cn-northwest-1"},
		"isolated": {Region: "us-isob-east-1"},
		"europe":   {Region: "eusc-de-east-1"},
		"role":     {Region: "us-east-1", AssumeRole: &AssumeRole{Role: "arn:aws-us-gov:iam::123456789012:role/path/handover", SessionName: "a@b"}},
		"key":      {Region: "us-east-1", KMSKey: "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
		"key id":   {Region: "us-east-1", KMSKey: "mrk-1234abcd12ab34cd56ef1234567890ab"},
		"alias":    {Region: "us-east-1", KMSKey: "alias/handover"},
		"endpoint": {Region: "us-east-1", Endpoint: "https://vpce-1a2b.secretsmanager.us-east-1.vpce.amazonaws.com"},
		"loopback": {Region: "us-east-1", Endpoint: "http://[::1]:4566/"},
		"tags":     {Region: "us-east-1", Tags: map[string]string{"team": "data platform", "e-mail": "a@b.example"}},
	} {
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	many := map[string]string{}
	for i := range maxTags - len(ownTags) + 1 {
		many[fmt.Sprint("k", i)] = ""
	}
	for says, o := range map[string]Options{
		"region must be":                 {Region: "us-east1"},
		"region must be the name":        {Region: "https://us-east-1"},
		"timeout must be":                {Timeout: -1},
		"max_in_flight must be":          {MaxInFlight: -1},
		"rate must be":                   {Rate: -1},
		"kms_key must be":                {KMSKey: "my key"},
		"kms_key must be the key's ARN":  {KMSKey: "arn:aws:s3:::bucket"},
		"description must":               {Description: strings.Repeat("a", 2049)},
		"cert_file and key_file":         {CertFile: "client.pem"},
		"endpoint must be a URL":         {Endpoint: "vpce.example"},
		"endpoint must end":              {Endpoint: "https://user@vpce.example"},
		"endpoint is plain http":         {Endpoint: "http://vpce.example"},
		"assume_role.role must be":       {AssumeRole: &AssumeRole{Role: "handover"}},
		"assume_role.external_id must":   {AssumeRole: &AssumeRole{ExternalID: "x"}},
		"assume_role.session_name must":  {AssumeRole: &AssumeRole{SessionName: "a b"}},
		"assume_role.endpoint is plain":  {AssumeRole: &AssumeRole{Endpoint: "http://sts.example"}},
		"tags must be at most 46":        {Tags: many},
		"tags.a?b is not allowed":        {Tags: map[string]string{"a?b": ""}},
		"tags.a is not allowed":          {Tags: map[string]string{"a": "<b>"}},
		"tags.AWS:a is not allowed":      {Tags: map[string]string{"AWS:a": ""}},
		"tags.handover-b is not allowed": {Tags: map[string]string{"handover-b": ""}},
	} {
		err := o.Validate()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
		if _, err := Driver().Open(t.Context(), backends.Env{Name: "aws"}, &o); err == nil || !strings.Contains(err.Error(), "open backend aws: ") {
			t.Errorf("%s: it is opened with %v", says, err)
		}
	}
	if _, err := Driver().Open(t.Context(), backends.Env{Name: "aws"}, "us-east-1"); err == nil {
		t.Error("options of another type are taken")
	}
}

func TestNames(t *testing.T) {
	rule := properties().Path
	for _, name := range []string{
		"x", "a/b", "/prod/token", "airflow/connections/qualytics_default", "a_b+c=d.e@f-g", "tokens", "-abcde", "a-abcdefg",
		strings.Repeat("x", 512),
	} {
		if err := rule.Check(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for _, name := range escapes {
		if err := rule.Check(name); err == nil {
			t.Errorf("%q is allowed", name)
		}
	}
}

func TestPlace(t *testing.T) {
	ref := backends.Ref{Backend: "aws", Path: "a/b"}
	one := place(&Options{Region: "us-east-1"}, ref)
	if same := place(&Options{Region: "us-east-1"}, backends.Ref{Backend: "other", Path: "a/b"}); same != one {
		t.Errorf("one secret has the names %q and %q", one, same)
	}
	if a, b := place(&Options{Endpoint: "https://V.example/"}, ref), place(&Options{Endpoint: "https://v.example"}, ref); a != b {
		t.Errorf("one endpoint has the names %q and %q", a, b)
	}
	for name, o := range map[string]*Options{
		"region": {Region: "eu-west-1"}, "profile": {Region: "us-east-1", Profile: "x"},
		"account":  {Region: "us-east-1", AssumeRole: &AssumeRole{Role: roleARN}},
		"endpoint": {Region: "us-east-1", Endpoint: "https://v.example"},
	} {
		if place(o, ref) == one {
			t.Errorf("another %s has the same name", name)
		}
	}
	if got := place("x", ref); got != "aws/a/b" {
		t.Errorf("options of another type: %q", got)
	}
}

func TestNoTurnInTime(t *testing.T) {
	s, u := scripted(t, nil)
	o := at(u)
	o.MaxInFlight = 1
	b := opened(t, o)
	leave, err := b.limit.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = b.Put(ctx, refX, itemOf("eyJ.a.b", 2), "v1")
	wantError(t, err, backends.ErrUnavailable, "deadline")
	if len(s.seen) != 0 {
		t.Error("AWS was asked all the same")
	}
}
