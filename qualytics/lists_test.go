package qualytics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/handover-agent/handover/rotation"
)

// pager plays a paged list of teams.
type pager struct {
	all     []int             // the ids
	shape   string            // a format for items and total: "array", "total", "total_count", "both", "none"
	most    int               // the server's own limit of a page; 0: the asked one
	unpaged bool              // ignores page and size
	before  func(page int)    // runs before a page is made
	lie     func(int) int     // changes the total
	order   func([]int) []int // of the whole list, at each page
}

func (p *pager) answer(req *http.Request) (*http.Response, error) {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	number, _ := strconv.Atoi(query.Get("page"))
	size, _ := strconv.Atoi(query.Get("size"))
	if p.before != nil {
		p.before(number)
	}
	all := p.all
	if p.order != nil {
		all = p.order(slices.Clone(all))
	}
	if p.most > 0 {
		size = min(size, p.most)
	}
	rows := all
	if !p.unpaged {
		rows = all[min(len(all), (number-1)*size):min(len(all), number*size)]
	}
	var items []string
	for _, id := range rows {
		items = append(items, fmt.Sprintf(`{"id": %d, "name": "team %d"}`, id, id))
	}
	total := len(all)
	if p.lie != nil {
		total = p.lie(total)
	}
	list := "[" + strings.Join(items, ",") + "]"
	body := map[string]string{
		"array":       list,
		"total":       fmt.Sprintf(`{"items": %s, "total": %d, "page": %d, "size": %d}`, list, total, number, size),
		"total_count": fmt.Sprintf(`{"total_count": %d, "items": %s}`, total, list),
		"both":        fmt.Sprintf(`{"total": %d, "items": %s, "total_count": %d}`, min(total, size), list, total),
		"null":        fmt.Sprintf(`{"total": null, "items": %s}`, list),
		"none":        fmt.Sprintf(`{"items": %s, "next": {"deep": [1, {"items": []}]}}`, list),
	}[p.shape]
	return say(200, body)(req)
}

func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i + 1
	}
	return ids
}

func shuffled() func([]int) []int {
	turn := 0
	return func(ids []int) []int { // another order at each page
		turn++
		return append(ids[turn%len(ids):], ids[:turn%len(ids)]...)
	}
}

func TestPaging(t *testing.T) {
	tests := map[string]struct {
		pager pager
		want  int // how many teams; -1: an error
		calls int
	}{
		"total":                 {pager{all: upTo(250), shape: "total"}, 250, 3},
		"total_count":           {pager{all: upTo(250), shape: "total_count"}, 250, 3},
		"both, the larger":      {pager{all: upTo(250), shape: "both"}, 250, 3},
		"no total":              {pager{all: upTo(250), shape: "none"}, 250, 4},
		"null total":            {pager{all: upTo(250), shape: "null"}, 250, 4},
		"paged array":           {pager{all: upTo(250), shape: "array"}, 250, 4},
		"array, a full page":    {pager{all: upTo(100), shape: "array"}, 100, 2},
		"whole array":           {pager{all: upTo(250), shape: "array", unpaged: true}, 250, 1},
		"whole short array":     {pager{all: upTo(3), shape: "array", unpaged: true}, 3, 2},
		"unpaged with total":    {pager{all: upTo(250), shape: "total", unpaged: true}, 250, 1},
		"one page":              {pager{all: upTo(7), shape: "total"}, 7, 1},
		"exactly a page":        {pager{all: upTo(100), shape: "total"}, 100, 1},
		"empty":                 {pager{shape: "total"}, 0, 1},
		"empty, no total":       {pager{shape: "none"}, 0, 1},
		"empty array":           {pager{shape: "array"}, 0, 1},
		"a smaller page":        {pager{all: upTo(250), shape: "total", most: 50}, 250, 5},
		"a smaller array":       {pager{all: upTo(120), shape: "array", most: 50}, 120, 4},
		"ends short":            {pager{all: upTo(250), shape: "total", lie: func(n int) int { return n + 1 }}, -1, 3 * 4},
		"empty but counted":     {pager{shape: "total", lie: func(int) int { return 5 }}, -1, 3},
		"more than counted":     {pager{all: upTo(90), shape: "total", lie: func(int) int { return 80 }}, -1, 3},
		"duplicates in a page":  {pager{all: append(upTo(50), upTo(50)...), shape: "none"}, 50, 2},
		"duplicates hide items": {pager{all: upTo(250), shape: "total", order: shuffled()}, -1, 3 * 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.pager.answer)
				teams, err := c.Teams(t.Context())
				if test.want < 0 {
					if !errors.Is(err, rotation.ErrInvalidAnswer) || teams != nil {
						t.Errorf("%d teams, err = %v; want none and invalid answer", len(teams), err)
					}
				} else if err != nil || len(teams) != test.want {
					t.Errorf("%d teams, err = %v; want %d", len(teams), err, test.want)
				}
				for i, team := range teams {
					if team.ID != int64(i+1) || team.Name != fmt.Sprint("team ", i+1) {
						t.Fatalf("team %d is %v", i, team)
					}
				}
				if got := len(s.sent()); got != test.calls {
					t.Errorf("%d calls, want %d", got, test.calls)
				}
			})
		})
	}
}

// An item that goes while the list is read moves another one over the edge of
// a page: nobody lists that one. The list is read again.
func TestPagingWhileItemsGo(t *testing.T) {
	p := &pager{all: upTo(250), shape: "total"}
	changes := 0
	p.before = func(page int) {
		if page == 2 && changes < 1 {
			changes++
			p.all = p.all[1:]
		}
	}
	c, _ := scripted(t, p.answer)
	teams, err := c.Teams(t.Context())
	if err != nil || len(teams) != 249 || teams[0].ID != 2 {
		t.Errorf("%d teams, err = %v", len(teams), err)
	}
	p.before = func(page int) {
		if page == 2 {
			p.all = p.all[1:]
		}
	}
	if _, err := c.Teams(t.Context()); err == nil || !strings.Contains(err.Error(), "while it was read") {
		t.Errorf("a list that never holds still: err = %v", err)
	}
}

// An item that comes moves one onto the next page, too: it is listed once.
func TestPagingWhileItemsCome(t *testing.T) {
	p := &pager{all: upTo(150), shape: "none"}
	p.before = func(page int) {
		if page == 2 {
			p.all = append([]int{500}, upTo(150)...)
		}
	}
	c, _ := scripted(t, p.answer)
	teams, err := c.Teams(t.Context())
	if err != nil || len(teams) != 150 {
		t.Errorf("%d teams, err = %v; want 150 and none twice", len(teams), err)
	}
}

// A page in the middle that fails makes the list fail, and one that comes at
// the second try doesn't.
func TestPageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pager{all: upTo(250), shape: "total"}
		broken := true
		c, _ := scripted(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Query().Get("page") == "2" && broken {
				return say(503, "")(req)
			}
			return p.answer(req)
		})
		if teams, err := c.Teams(t.Context()); !errors.Is(err, rotation.ErrUnavailable) || teams != nil {
			t.Errorf("%d teams, err = %v", len(teams), err)
		}
		broken = false
		if teams, err := c.Teams(t.Context()); err != nil || len(teams) != 250 {
			t.Errorf("%d teams, err = %v", len(teams), err)
		}
	})
}

func TestListWithoutEnd(t *testing.T) {
	next := 0
	c, s := scripted(t, func(req *http.Request) (*http.Response, error) {
		next++
		return say(200, fmt.Sprintf(`{"items": [{"id": %d, "name": "x"}]}`, next))(req)
	})
	if _, err := c.Teams(t.Context()); !errors.Is(err, rotation.ErrInvalidAnswer) {
		t.Errorf("err = %v, want invalid answer", err)
	}
	if got := len(s.sent()); got != maxPages {
		t.Errorf("%d calls, want %d", got, maxPages)
	}
}

// A list as a whole is bounded in time, however quick its pages are.
func TestListIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		next := 0
		s.answers = []answer{func(req *http.Request) (*http.Response, error) {
			next++
			return say(200, fmt.Sprintf(`{"items": [{"id": %d, "name": "x"}]}`, next))(req)
		}}
		c := client(t, Options{Transport: s, Rate: 1, Burst: 1})
		if _, err := c.Teams(t.Context()); !errors.Is(err, rotation.ErrUnavailable) {
			t.Errorf("err = %v, want unavailable", err)
		}
		if got := len(s.sent()); got < 110 || got > 121 {
			t.Errorf("%d calls in 2 minutes at 1 a second", got)
		}
	})
}

// A retried attempt starts the page anew.
func TestCutPageIsNotCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := `[{"id": 1, "active": true, "name": "a"}, {"id": 2, "active": true, "name": "b"}`
		c, _ := scripted(t, sayFrom(200, cut(body)), sayFrom(200, func() io.Reader { return stringsOf(body + "]") }))
		tokens, err := c.Tokens(t.Context())
		if err != nil || len(tokens) != 2 {
			t.Errorf("%d tokens, err = %v; want 2", len(tokens), err)
		}
	})
}
