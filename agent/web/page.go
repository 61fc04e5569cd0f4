package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // page.html and page.css are part of the program
	"encoding/base64"
	"html/template"
	"net/http"
	"time"

	"github.com/handover-agent/handover/agent/report"
	"github.com/handover-agent/handover/rotation"
)

const (
	// maxRows is how many slots one page shows; the filter finds the others.
	maxRows = 500
	// maxProblems is how many problems one page tells.
	maxProblems = 50
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// policy lets a browser use the page's own style, by its hash, and nothing
// else.
var policy = "default-src 'none'; style-src 'sha256-" + styleHash() +
	"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"relative": report.Relative,
	"next":     report.Next,
	"until":    report.Until,
	"stamp":    stamp,
}).Parse(pageHTML))

// stamp is a moment as people and machines read it: RFC 3339, UTC, in seconds.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// view is what the page shows.
type view struct {
	CSS template.CSS
	Doc report.Document
	// Filter is what was asked for, States what can be.
	Filter report.Filter
	States []rotation.SlotState
	// Problems are the first of all Found, MoreProblems the number of others.
	Problems            []report.Problem
	Found, MoreProblems int
	// Rows are the first of the Chosen slots.
	Rows   []rotation.Status
	Chosen int
}

func newView(doc report.Document, filter report.Filter) view {
	problems, chosen := doc.Problems(), doc.Select(filter)
	v := view{CSS: template.CSS(pageCSS), Doc: doc, Filter: filter, States: report.States(), //nolint:gosec // it is our own file
		Problems: problems, Found: len(problems), Rows: chosen, Chosen: len(chosen)}
	if extra := len(problems) - maxProblems; extra > 0 {
		v.Problems, v.MoreProblems = problems[:maxProblems], extra
	}
	if len(chosen) > maxRows {
		v.Rows = chosen[:maxRows]
	}
	return v
}

func page(source Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		filter, err := filterOf(r)
		if err != nil {
			http.Error(w, oneLine(err.Error()), http.StatusBadRequest)
			return
		}
		doc, err := source.Status(r.Context())
		if err != nil {
			http.Error(w, "the status can't be told: "+oneLine(err.Error()), http.StatusServiceUnavailable)
			return
		}
		var out bytes.Buffer // so that half a page is never sent as a whole one
		if err := pageTemplate.Execute(&out, newView(doc, filter)); err != nil {
			http.Error(w, "the page can't be made: "+oneLine(err.Error()), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(out.Bytes()) // a caller who left needs no answer
	}
}
