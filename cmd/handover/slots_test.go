package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/config"
)

func declaredNames() names {
	return namesOf(&config.Declaration{Accounts: []config.Account{
		{ID: "etl@service", Name: "ETL", Tokens: []config.Token{{Name: "prod"}, {Name: "test"}}},
		{ID: "a_b@service", Name: "A/B", Tokens: []config.Token{{Name: "prod"}}},
		{ID: "empty@service", Name: "Empty"},
	}})
}

func TestChoose(t *testing.T) {
	tests := map[string]struct{ args, want []string }{
		"a slot":                     {[]string{"etl@service/test"}, []string{"etl@service/test"}},
		"by the declared name":       {[]string{"ETL/test"}, []string{"etl@service/test"}},
		"an account":                 {[]string{"etl@service"}, []string{"etl@service/prod", "etl@service/test"}},
		"an account's name":          {[]string{"ETL"}, []string{"etl@service/prod", "etl@service/test"}},
		"a name with a slash":        {[]string{"A/B"}, []string{"a_b@service/prod"}},
		"a slot of such":             {[]string{"A/B/prod"}, []string{"a_b@service/prod"}},
		"each once, as declared":     {[]string{"A/B", "ETL/test", "ETL"}, []string{"etl@service/prod", "etl@service/test", "a_b@service/prod"}},
		"twice the same":             {[]string{"ETL/test", "etl@service/test"}, []string{"etl@service/test"}},
		"nothing of nothing, no all": {nil, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := declaredNames().choose(test.args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChooseUnknown(t *testing.T) {
	for arg, says := range map[string]string{
		"etl@service/prd": `did you mean "etl@service/prod"?`,
		"etl":             `did you mean "ETL"?`,
		"test":            `did you mean "etl@service/test"?`,
		"Empty":           "'handover status' lists them",
		"":                "'handover status' lists them",
		"something else":  "'handover status' lists them",
	} {
		_, err := declaredNames().choose([]string{"ETL", arg})
		var e *exit
		if !errors.As(err, &e) || e.code != exitUsage || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want code 64 and %q", arg, err, says)
		}
	}
}

func TestOneSlot(t *testing.T) {
	for arg, want := range map[string]string{"A/B": "a_b@service/prod", "ETL/prod": "etl@service/prod"} {
		if got, err := declaredNames().slot(arg); got != want || err != nil {
			t.Errorf("%q is %q, %v", arg, got, err)
		}
	}
	for arg, says := range map[string]string{"ETL": "has 2 slots; name one of them: etl@service/prod or etl@service/test", "no": "no slot"} {
		if got, err := declaredNames().slot(arg); got != arg || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %q, %v", arg, got, err)
		}
	}
}
