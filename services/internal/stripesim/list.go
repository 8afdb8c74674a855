package stripesim

import (
	"math"
	"slices"
)

// span is a closed interval of Unix seconds.
type span struct{ from, to int64 }

// everything is the span of a list without a filter by time.
var everything = span{math.MinInt64, math.MaxInt64}

// listParams adds what every list accepts.
func listParams(own schema) schema {
	s := schema{
		"created":        opt(timeRange),
		"limit":          opt(integer(1, 100)),
		"starting_after": opt(text(0)),
		"ending_before":  opt(text(0)),
		"expand":         opt(list(text(0), 0)),
	}
	for name, f := range own {
		s[name] = f
	}
	return s
}

// listPage answers a list: newest first, ten by default, from a cursor on. kind names the objects in the error about an
// unknown cursor.
func listPage[T record](t *table[T], p params, url, kind string, keep func(T) bool, render func(T) document) (document, *apiError) {
	limit := 10
	if n, ok := p.num("limit"); ok {
		limit = int(n)
	}
	window := everything
	if s, ok := p["created"].(span); ok {
		window = s
	}
	after, before := p.str("starting_after"), p.str("ending_before")
	if after != "" && before != "" {
		return nil, invalid("", "", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	// An unknown cursor is an error. A row that was removed or dropped is unknown too.
	for name, id := range map[string]string{"starting_after": after, "ending_before": before} {
		if _, ok := t.get(id); id != "" && !ok {
			return nil, noSuch(400, kind, id, name)
		}
	}

	// Rows stand oldest first; a page goes towards older rows, or from ending_before towards newer ones.
	first, step := len(t.rows)-1, -1
	switch {
	case after != "":
		first = t.index(after) - 1
	case before != "":
		first, step = t.index(before)+1, 1
	}
	data, more := []any{}, false
	for i := first; i >= 0 && i < len(t.rows); i += step {
		row := t.rows[i]
		if _, created := row.key(); created < window.from || created > window.to || !keep(row) {
			continue
		}
		// One more row that passes the filters proves that there is another page.
		if len(data) == limit {
			more = true
			break
		}
		data = append(data, render(row))
	}
	// A page before a cursor was collected from old to new, and is shown newest first like any other.
	if step > 0 {
		slices.Reverse(data)
	}
	return document{"object": "list", "url": url, "has_more": more, "data": data}, nil
}

// index finds a row's position: a binary search for its second, then a few steps. The id must be in the table.
func (t *table[T]) index(id string) int {
	_, created := t.byID[id].key()
	i, _ := slices.BinarySearchFunc(t.rows, created, func(e T, c int64) int {
		if _, ec := e.key(); ec >= c {
			return 1
		}
		return -1
	})
	for ; i < len(t.rows); i++ {
		if rowID, _ := t.rows[i].key(); rowID == id {
			break
		}
	}
	return i
}

// listRoutes are lists that nobody reads page by page. They tell which permissions a key has.
func (s *Sim) listRoutes() []route {
	plain := listParams(nil)
	return []route{
		{"GET /v1/payment_intents", "payment_intent", true, plain, func(c *call) (document, *apiError) {
			return listPage(&c.world.Intents, c.params, "/v1/payment_intents", "payment_intent", all[*intent],
				func(in *intent) document { return in.render(c.world) })
		}},
		// Capitals and small letters differ here, as at Stripe.
		{"GET /v1/customers", "customer", true, listParams(schema{"email": opt(text(512))}), func(c *call) (document, *apiError) {
			keep := func(cu *customer) bool { return !c.params.has("email") || cu.Donor.Email == c.params.str("email") }
			return listPage(&c.world.Customers, c.params, "/v1/customers", "customer", keep, (*customer).render)
		}},
	}
}

// all is the filter of a list that has none.
func all[T any](T) bool { return true }
