package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// families are the names of our metrics with their labels, as scrapes of an
// agent and of a follower tell them.
func families(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	addFamilies(t, scrape(t, used()), found)
	addFamilies(t, scrape(t, usedFollower()), found)
	return found
}

func addFamilies(t *testing.T, text string, found map[string][]string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range parsed {
		if !strings.HasPrefix(name, "handover_") {
			continue
		}
		labels := []string{}
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		slices.Sort(labels)
		found[name] = labels
	}
}

var (
	// documented is a row of the page's tables: | `name` | `label`, `label` | …
	documented = regexp.MustCompile("(?m)^\\| `(handover_[a-z_]+)` \\|([^|]*)\\|")
	label      = regexp.MustCompile("`([a-z_]+)`")
	mentioned  = regexp.MustCompile(`handover_[a-z_]+`)
)

func TestThePageListsEveryMetric(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	exposed := families(t)
	listed := make(map[string]bool)
	for _, row := range documented.FindAllStringSubmatch(string(page), -1) {
		var labels []string
		for _, l := range label.FindAllStringSubmatch(row[2], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		listed[row[1]] = true
		if want, ok := exposed[row[1]]; ok && !slices.Equal(want, labels) {
			t.Errorf("the page gives %s the labels %q, it has %q", row[1], labels, want)
		}
	}
	for name := range exposed {
		if !listed[name] {
			t.Errorf("docs/metrics.md does not list %s", name)
		}
	}
	for _, name := range mentioned.FindAllString(string(page), -1) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if _, ok := exposed[base]; !ok {
			if _, ok := exposed[name]; !ok {
				t.Errorf("docs/metrics.md names %s, which nothing exposes", name)
			}
		}
	}
}
