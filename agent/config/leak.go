package config

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// leaks are the shapes of secrets that people paste into files. A text without
// one of the marks isn't matched against the shape, which takes longer.
var leaks = []struct {
	what  string
	marks []string
	shape *regexp.Regexp
}{
	{"a JSON Web Token", []string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{"a Vault token", []string{"hvs.", "hvb.", "hvr."}, regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{20,}`)},
	{"a Vault token", []string{"s."}, regexp.MustCompile(`\bs\.[A-Za-z0-9]{24}\b`)},
	{"an AWS access key", []string{"AKIA", "ASIA"}, regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`)},
	{"a GitHub token", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36}`)},
	{"a private key", []string{"PRIVATE KEY"}, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)},
	{"a password in a URL", []string{"://"}, regexp.MustCompile(`://[^/\s:@<>{}$"',]+:[^/\s@<>{}$"',]+@`)},
}

// secretKeys are keys whose value is a secret whatever it looks like.
var secretKeys = map[string]bool{
	"token": true, "access_token": true, "bearer": true, "bearer_token": true,
	"password": true, "passwd": true, "pass": true,
	"secret": true, "secret_id": true, "client_secret": true, "secret_key": true, "secret_access_key": true,
	"api_key": true, "apikey": true, "private_key": true, "credential": true, "credentials": true,
}

const leakAdvice = "a secret must not stand in the declaration, not even in a comment: " +
	"put it into a file and name that ({file: /path}), and replace this one, for others may have read it"

// leakIn names the secret that text looks like, and where it begins; "" is
// none.
func leakIn(text string) (what string, at int) {
	for _, leak := range leaks {
		if !slices.ContainsFunc(leak.marks, func(mark string) bool { return strings.Contains(text, mark) }) {
			continue
		}
		if place := leak.shape.FindStringIndex(text); place != nil {
			return leak.what, place[0]
		}
	}
	return "", 0
}

// leaks reports whether n holds what looks like a secret, and marks it as
// unusable. Mostly the text was searched before and tells the place; a secret
// that is hidden behind escapes is found only here.
func (d *decoder) leaks(n *yaml.Node, path, text string) bool {
	what, _ := leakIn(text)
	switch {
	case what == "":
		return false
	case d.leaked:
		d.fault(path)
	default:
		d.report(n, path, "this looks like %s; %s", what, leakAdvice)
	}
	return true
}

// withoutSecrets is the net under all messages: one that quotes what looks like
// a secret tells that alone.
func withoutSecrets(problems []Problem) []Problem {
	for i, p := range problems {
		if what, _ := leakIn(p.Message); what != "" {
			problems[i].Message = "this looks like " + what + "; " + leakAdvice
		}
		if what, _ := leakIn(p.Key); what != "" {
			problems[i].Key = ""
		}
	}
	return problems
}

// scanForSecrets looks through the text itself, so that comments and files that
// don't parse are covered too. The problems don't repeat what was found.
func scanForSecrets(file, text string) []Problem {
	var found []Problem
	number := 0
	for line := range strings.Lines(text) {
		number++
		if what, at := leakIn(line); what != "" {
			found = append(found, Problem{
				File: file, Line: number, Column: utf8.RuneCountInString(line[:at]) + 1,
				Message: "this looks like " + what + "; " + leakAdvice,
			})
		}
	}
	return found
}
