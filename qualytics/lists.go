package qualytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"
)

const (
	pageSize = 100
	// maxPages bounds a list that never ends.
	maxPages = 2000
	// maxReads is how often a list is read from its start that changes while
	// it is read, or misses items.
	maxReads = 3
)

// list describes one list call: which call, and how an item of it is read.
type list[T any] struct {
	call call
	id   func(T) int64
	item func(*json.Decoder) (T, error)
}

// page is one answer of a list. total is -1 when it isn't told.
type page[T any] struct {
	items []T
	total int64
	array bool
}

// items makes the reader of one item from its wire type.
func items[W, T any](convert func(W) (T, error)) func(*json.Decoder) (T, error) {
	return func(d *json.Decoder) (T, error) {
		var wire W
		if err := d.Decode(&wire); err != nil {
			var none T
			return none, err
		}
		return convert(wire)
	}
}

// readPaged reads a list to its end, page by page.
func readPaged[T any](ctx context.Context, c *Client, l list[T]) ([]T, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	var err error
	for range maxReads {
		var all []T
		if all, err = readOnce(ctx, c, l); !errors.Is(err, errTorn) {
			return all, err
		}
	}
	return nil, err
}

// errTorn: the pages don't make one list. Another reading may do better.
var errTorn = errors.New("the pages don't make a whole list")

// readOnce reads page after page until as many different items are there as
// the server counts. Without a count, the end is a page that brings nothing
// new, or an array longer than a page, which isn't paged. A count that changes
// means that items may have slipped between two pages; a deletion and a
// creation at once can't be seen.
func readOnce[T any](ctx context.Context, c *Client, l list[T]) ([]T, error) {
	var all []T
	seen := map[int64]bool{}
	total := int64(-1)
	for number := 1; number <= maxPages; number++ {
		got, err := fetch(ctx, c, l.at(number))
		if err != nil {
			return nil, err
		}
		if number > 1 && got.total != total {
			return nil, l.torn("its count went from %d to %d while it was read", total, got.total)
		}
		total = got.total
		before := len(all)
		all = l.appendNew(all, seen, got.items)
		fresh := len(all) - before
		switch {
		case total < 0 && (fresh == 0 || got.array && len(got.items) > pageSize):
			return all, nil
		case total >= 0 && int64(len(all)) > total:
			return nil, l.torn("it has more than the %d items that it counts", total)
		case total >= 0 && int64(len(all)) == total:
			return all, nil
		case total >= 0 && fresh == 0:
			return nil, l.torn("it ends at %d of %d items", len(all), total)
		}
	}
	return nil, l.call.fail(invalid, fmt.Errorf("it doesn't end after %d pages", maxPages))
}

// readWhole reads a list that is documented as one array. If it comes in the
// shape of a page (G), it is read as pages.
func readWhole[T any](ctx context.Context, c *Client, l list[T]) ([]T, error) {
	got, err := fetch(ctx, c, l)
	if err != nil {
		return nil, err
	}
	all := l.appendNew(nil, map[int64]bool{}, got.items)
	if got.array || got.total == int64(len(all)) {
		return all, nil
	}
	return readPaged(ctx, c, l)
}

// at is the list's call for one page; the first is 1 (D, from the CLI).
func (l list[T]) at(number int) list[T] {
	query := url.Values{"page": {strconv.Itoa(number)}, "size": {strconv.Itoa(pageSize)}}
	maps.Copy(query, l.call.query)
	l.call.query = query
	return l
}

func (l list[T]) torn(format string, args ...any) error {
	return l.call.fail(invalid, fmt.Errorf("%w: "+format, append([]any{errTorn}, args...)...))
}

// appendNew adds the items that aren't there yet: a page shifts when an item
// is made while the list is read.
func (l list[T]) appendNew(all []T, seen map[int64]bool, items []T) []T {
	for _, item := range items {
		if id := l.id(item); !seen[id] {
			seen[id] = true
			all = append(all, item)
		}
	}
	return all
}

// fetch makes one list call.
func fetch[T any](ctx context.Context, c *Client, l list[T]) (page[T], error) {
	var got page[T]
	l.call.answer = func(r io.Reader) error {
		got = page[T]{total: -1}
		return got.read(json.NewDecoder(r), l.item)
	}
	err := c.do(ctx, &l.call)
	return got, err
}

// read takes both shapes: an array, and an object with "items" and one of
// "total_count" (D, newer) and "total" (D, the CLI); of both the larger. It
// decodes item by item, so that only the items themselves stay in memory.
func (p *page[T]) read(d *json.Decoder, item func(*json.Decoder) (T, error)) error {
	start, err := d.Token()
	if err != nil {
		return err
	}
	switch start {
	case json.Delim('['):
		p.array = true
		err = p.elements(d, item)
	case json.Delim('{'):
		err = p.fields(d, item)
	default:
		err = errors.New("it is neither a list nor an object with items")
	}
	if err != nil {
		return err
	}
	return atEnd(d)
}

func (p *page[T]) fields(d *json.Decoder, item func(*json.Decoder) (T, error)) error {
	listed := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "items":
			start, err := d.Token()
			if err != nil {
				return err
			}
			if listed || start != json.Delim('[') {
				return errors.New("its items are no list")
			}
			listed = true
			err = p.elements(d, item)
			if err != nil {
				return err
			}
		case "total", "total_count":
			if err := p.count(d); err != nil {
				return err
			}
		default:
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if !listed {
		return errors.New("it is neither a list nor an object with items")
	}
	return nil
}

func (p *page[T]) count(d *json.Decoder) error {
	var total *int64
	if err := d.Decode(&total); err != nil {
		return err
	}
	if total == nil {
		return nil
	}
	if *total < 0 {
		return errors.New("its total is below 0")
	}
	p.total = max(p.total, *total)
	return nil
}

// elements reads to the end of an array whose start was read.
func (p *page[T]) elements(d *json.Decoder, item func(*json.Decoder) (T, error)) error {
	for d.More() {
		got, err := item(d)
		if err != nil {
			return err
		}
		p.items = append(p.items, got)
	}
	_, err := d.Token()
	return err
}
