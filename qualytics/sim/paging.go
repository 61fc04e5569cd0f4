package sim

// pageQuery is what every paged list takes.
var pageQuery = []field{
	{name: "page", kind: integer, min: 1},
	{name: "size", kind: integer, min: 1, max: 100},
}

// defaultSize is the page's size when none is asked for (guess).
const defaultSize = 50

// page is a paged list. Newer documents have total_count, older ones and the
// vendor's CLI total: both are sent.
type page[T any] struct {
	Items      []T   `json:"items"`
	Total      int   `json:"total"`
	TotalCount int   `json:"total_count"`
	Page       int64 `json:"page"`
	Size       int64 `json:"size"`
}

// paged answers the page of all that was asked for.
func paged[T any](c *call, all []T, asked values) (answer, error) {
	p := page[T]{Total: len(all), TotalCount: len(all), Page: 1, Size: defaultSize, Items: []T{}}
	if asked.has("page") {
		p.Page = asked.int("page")
	}
	if asked.has("size") {
		p.Size = asked.int("size")
	}
	if p.Page-1 <= int64(len(all))/p.Size { // before multiplying: page may be huge
		from := min((p.Page-1)*p.Size, int64(len(all)))
		to := min(from+p.Size, int64(len(all)))
		p.Items = append(p.Items, all[from:to]...)
	}
	p.Items = cutList(c, p.Items)
	return ok(p)
}

// cutList shortens a list where a fault says so.
func cutList[T any](c *call, list []T) []T {
	if c.tweak.cut && len(list) > c.tweak.keep {
		return list[:c.tweak.keep]
	}
	return list
}
