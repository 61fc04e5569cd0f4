package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

func show(t *testing.T, source agent, url string) string {
	t.Helper()
	answer := ask(t, source, http.MethodGet, url)
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%s = %d %s: %s", url, answer.Code, answer.Header().Get("Content-Type"), answer.Body)
	}
	return answer.Body.String()
}

var (
	style = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	tag   = regexp.MustCompile(`<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
)

// words is the text of the page as a person reads it.
func words(html string) string {
	return strings.TrimSpace(space.ReplaceAllString(tag.ReplaceAllString(style.ReplaceAllString(html, ""), " "), " "))
}

// A pause shows on top of the page, and in its slot's row.
func TestPageTellsPauses(t *testing.T) {
	source := two()
	doc := &source.doc
	pause := rotation.PauseStatus{Request: 1, Scope: rotation.WholeAgent, Actor: "uid 7", Reason: "<freeze>"}
	doc.Paused, doc.Slots[0].Paused = []rotation.PauseStatus{pause}, []rotation.PauseStatus{pause}
	doc.Slots[0].State, doc.Slots[0].Reason = rotation.SlotPaused, rotation.Paused
	body := show(t, source, "/")
	for _, want := range []string{"the whole agent is paused by uid 7: &lt;freeze&gt;; &#39;handover resume --all&#39; ends it", `<b class="paused">paused</b>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestPageTellsTheWholeStory(t *testing.T) {
	const want = `(1) acme-prod · Handover acme-prod Handover 1.2.3 · running · as of 2026-11-05T12:00:00Z ` +
		`· declaration loaded 3h ago · own credential expires in 90d ` +
		`What needs a look bi@service/dashboards : blocked: account_gone; mend it, then: handover resume bi@service/dashboards ` +
		`2 all 1 blocked 0 paused 0 new 0 issuing 0 delivering 1 current 0 removed slot or target find ` +
		`slot state gen. token expires next targets retired ` +
		`pipeline_automation@service/pipeline-production current at_rest 3 456 in 364d revoke in 2d ` +
		`vault/connections/qualytics_default current g3 local/dbt.env behind g2 target_denied ` +
		`g2 grace revoke in 2d token 455, superseded g1 waiting - still_served ` +
		`bi@service/dashboards blocked account_gone – – – – ` +
		`as JSON · metrics · ready?`
	if diff := cmp.Diff(strings.Split(want, " "), strings.Split(words(show(t, two(), "/")), " ")); diff != "" {
		t.Error(diff)
	}
}

func TestPageWithoutProblems(t *testing.T) {
	source := two()
	source.doc.Slots = source.doc.Slots[:1]
	text := words(show(t, source, "/"))
	if !strings.HasPrefix(text, "acme-prod · Handover") || !strings.Contains(text, "Nothing needs a look") {
		t.Errorf("page = %q", text)
	}
}

func TestPageFilters(t *testing.T) {
	tests := map[string]struct {
		url               string
		want, wantNot     string
		current, inSearch string
	}{
		"by state":      {"/?state=blocked", "dashboards blocked account_gone", "456", `class="blocked" aria-current="page"`, `value=""`},
		"by name":       {"/?q=pipeline", "456", "dashboards blocked account_gone", `href="/" aria-current="page"`, `value="pipeline"`},
		"nothing found": {"/?q=nowhere", "No slot matches.", "456", `href="/" aria-current="page"`, `value="nowhere"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			html := show(t, two(), test.url)
			text := words(html)
			if !strings.Contains(text, test.want) || strings.Contains(text, test.wantNot) {
				t.Errorf("page = %q, want %q and not %q", text, test.want, test.wantNot)
			}
			if !strings.Contains(html, test.current) || !strings.Contains(html, test.inSearch) {
				t.Errorf("the choice is not shown: want %q and %q in\n%s", test.current, test.inSearch, html)
			}
		})
	}
}

func TestPageOfAnEmptyDeclaration(t *testing.T) {
	if text := words(show(t, agent{}, "/")); !strings.Contains(text, "The declaration declares no tokens.") {
		t.Errorf("page = %q", text)
	}
}

func TestPageOfTenThousandSlotsIsBounded(t *testing.T) {
	html := show(t, many(10_000), "/")
	if rows := strings.Count(html, `<th scope="row">`); rows != 500 {
		t.Errorf("%d rows, want 500", rows)
	}
	if problems := strings.Count(html, `<li><a href="?q=`); problems != 50 {
		t.Errorf("%d problems, want 50", problems)
	}
	for _, want := range []string{"(10000) acme-prod", "and 9950 more", "The first 500 of 10000 slots are shown."} {
		if !strings.Contains(words(html), want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if len(html) > 1<<20 {
		t.Errorf("the page has %d bytes", len(html))
	}
	if html := show(t, many(10_000), "/?q=t09999"); strings.Count(html, `<th scope="row">`) != 1 {
		t.Error("the last slot isn't found")
	}
}

func TestPageEscapes(t *testing.T) {
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	source := agent{doc: report.Document{Agent: evil, Version: evil, Now: now, Declaration: &report.Declaration{Error: evil},
		Slots: []rotation.Status{{Slot: evil, State: rotation.SlotBlocked, Reason: rotation.Reason(evil), Next: evil, NextAt: at(day),
			Targets: []rotation.TargetStatus{{Backend: evil, Path: evil, State: rotation.TargetState(evil)}},
			Retired: []rotation.RetiredStatus{{State: rotation.State(evil), Reason: rotation.Reason(evil)}}}}}}
	for _, html := range []string{show(t, source, "/"), show(t, two(), "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")} {
		for _, bad := range []string{"<script", "<img", `"'>`} {
			if strings.Contains(html, bad) {
				t.Errorf("%q is on the page unescaped", bad)
			}
		}
	}
}

func TestPageLoadsNothing(t *testing.T) {
	html := show(t, two(), "/")
	for _, bad := range []string{"<script", "<link", "<img", "<iframe", " style=", " src=", "http:", "https:", "url(", "@import"} {
		if strings.Contains(html, bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	if !strings.Contains(html, "prefers-color-scheme: dark") {
		t.Error("the page has no dark colours")
	}
}

// TestStyleIsAllowedByItsHash: what a browser computes of the page is what the
// policy allows, byte for byte.
func TestStyleIsAllowedByItsHash(t *testing.T) {
	answer := ask(t, two(), http.MethodGet, "/")
	found := style.FindStringSubmatch(answer.Body.String())
	if found == nil {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256([]byte(found[1]))
	want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if policy := answer.Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
		t.Errorf("policy %q doesn't allow the style %s", policy, want)
	}
}

// TestTagsAreClosed counts the tags that the page opens and closes.
func TestTagsAreClosed(t *testing.T) {
	void := map[string]bool{"meta": true, "input": true, "!doctype": true}
	name := regexp.MustCompile(`^<(/?)([!a-zA-Z0-9]+)`)
	for _, source := range []agent{two(), many(3), {}} {
		var open []string
		for _, text := range tag.FindAllString(style.ReplaceAllString(show(t, source, "/"), ""), -1) {
			parts := name.FindStringSubmatch(text)
			switch element := strings.ToLower(parts[2]); {
			case void[element]:
			case parts[1] == "":
				open = append(open, element)
			case len(open) == 0 || open[len(open)-1] != element:
				t.Fatalf("</%s> closes none of %q", element, open)
			default:
				open = open[:len(open)-1]
			}
		}
		if len(open) != 0 {
			t.Errorf("%q are left open", open)
		}
	}
}
