package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// Table has the figures of the chart: a row for each period, newest first, a column for each series, and the sums of the bars.
func (c Chart) Table() template.HTML {
	all, bars := c.all(), len(c.Bars)
	var b strings.Builder
	fmt.Fprintf(&b, `<table class="list chart-table"><caption class="hidden">%s</caption><thead><tr><th scope="col">%s</th>`, esc(c.Title), esc(c.PeriodName))
	for _, s := range all {
		fmt.Fprintf(&b, `<th scope="col" class="number">%s</th>`, esc(s.Name))
	}
	total := c.TotalName != "" && bars > 1
	if total {
		fmt.Fprintf(&b, `<th scope="col" class="number">%s</th>`, esc(c.TotalName))
	}
	b.WriteString(`</tr></thead><tbody>`)
	for i := len(c.Periods) - 1; i >= 0; i-- {
		name := esc(c.Periods[i])
		if i < len(c.Links) && c.Links[i] != "" {
			name = fmt.Sprintf(`<a href="%s">%s</a>`, esc(c.Links[i]), name)
		}
		fmt.Fprintf(&b, `<tr><th scope="row">%s</th>`, name)
		c.cells(&b, func(s Series) int64 { return s.at(i) }, total, false)
		b.WriteString(`</tr>`)
	}
	b.WriteString(`</tbody>`)
	if c.TotalName != "" && len(c.Periods) > 1 && bars > 0 {
		fmt.Fprintf(&b, `<tfoot><tr><th scope="row">%s</th>`, esc(c.TotalName))
		c.cells(&b, sum, total, true)
		b.WriteString(`</tr></tfoot>`)
	}
	b.WriteString(`</table>`)
	return template.HTML(b.String())
}

// cells writes a row: each series, and the sum of the bars. A line is no sum, so it has no total below it.
func (c Chart) cells(b *strings.Builder, value func(Series) int64, total, foot bool) {
	var all int64
	for n, s := range c.all() {
		text := ""
		if n < len(c.Bars) || !foot {
			text = c.Format(value(s))
		}
		if n < len(c.Bars) {
			all += value(s)
		}
		fmt.Fprintf(b, `<td class="number" data-label="%s">%s</td>`, esc(s.Name), esc(text))
	}
	if total {
		fmt.Fprintf(b, `<td class="number" data-label="%s">%s</td>`, esc(c.TotalName), esc(c.Format(all)))
	}
}

func sum(s Series) (total int64) {
	for _, v := range s.Values {
		total += v
	}
	return total
}
