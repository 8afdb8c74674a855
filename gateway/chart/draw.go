package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// The picture's own units. Text of 13 units is readable on a phone, where the whole is some 320 pixels wide.
const (
	width, height                 = 420, 250
	left, right                   = 62, 8
	top, bottom                   = 12, 28
	plotWidth, plotHeight         = width - left - right, height - top - bottom
	mostTicks                     = 5
	widestBar             float64 = 40
)

// Picture draws the chart.
func (c Chart) Picture() template.HTML {
	up, down := c.extent()
	marks := ticks(up, 4)
	high, low := marks[len(marks)-1], int64(0)
	if down > 0 {
		below := ticks(down, 2)
		low = below[len(below)-1]
	}
	d := drawing{chart: c, high: high, low: low}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart-picture" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-title %s-desc" focusable="false">`, width, height, esc(c.ID), esc(c.ID))
	fmt.Fprintf(&b, `<title id="%s-title">%s</title><desc id="%s-desc">%s</desc>`, esc(c.ID), esc(c.Title), esc(c.ID), esc(c.Desc))
	d.axis(&b, marks)
	d.bars(&b)
	d.goal(&b)
	d.line(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// esc makes a text harmless in HTML, in attributes too.
func esc(text string) string { return template.HTMLEscapeString(text) }

// extent returns the highest values above and below the axis.
func (c Chart) extent() (up, down int64) {
	for i := range c.Periods {
		var above, below int64
		for _, s := range c.Bars {
			if s.Below {
				below += max(s.at(i), 0)
			} else {
				above += max(s.at(i), 0)
			}
		}
		up, down = max(up, above), max(down, below)
		if c.Line != nil {
			up = max(up, c.Line.at(i))
		}
	}
	if c.Goal != nil {
		up = max(up, c.Goal.Value)
	}
	return up, down
}

// drawing is a chart with its scale: high is at the top, and low that far below the axis.
type drawing struct {
	chart     Chart
	high, low int64
}

// y is the place of a value; those below the axis are negative.
func (d drawing) y(value int64) float64 {
	return top + plotHeight*float64(d.high-value)/float64(d.high+d.low)
}

// slot is where a period begins, and how wide it is.
func (d drawing) slot(i int) (x, wide float64) {
	wide = float64(plotWidth) / float64(max(len(d.chart.Periods), 1))
	return left + float64(i)*wide, wide
}

func (d drawing) axis(b *strings.Builder, marks []int64) {
	values := marks
	if d.low > 0 {
		values = append(values, -d.low)
	}
	for _, value := range values {
		class := "chart-grid"
		if value == 0 {
			class = "chart-axis"
		}
		y := d.y(value)
		fmt.Fprintf(b, `<line class="%s" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, class, left, width-right, y, y)
		fmt.Fprintf(b, `<text class="chart-text" x="%d" y="%.1f" text-anchor="end" aria-hidden="true">%s</text>`, left-7, y+4, esc(d.chart.Short(max(value, -value))))
	}
	// As many names as there is room for, the last period's always.
	n := len(d.chart.Ticks)
	every := max((n+mostTicks-1)/mostTicks, 1)
	for i := range n {
		if (n-1-i)%every != 0 {
			continue
		}
		x, wide := d.slot(i)
		anchor, at := "middle", x+wide/2
		if i == n-1 && n > 1 {
			anchor, at = "end", x+wide
		}
		fmt.Fprintf(b, `<text class="chart-text" x="%.1f" y="%d" text-anchor="%s" aria-hidden="true">%s</text>`, at, height-8, anchor, esc(d.chart.Ticks[i]))
	}
}

func (d drawing) bars(b *strings.Builder) {
	for i, period := range d.chart.Periods {
		x, wide := d.slot(i)
		bar := min(wide*0.76, widestBar)
		x += (wide - bar) / 2
		var above, below int64
		for n, s := range d.chart.Bars {
			value := max(s.at(i), 0)
			if value == 0 {
				continue
			}
			from, to := above, above+value
			if s.Below {
				from, to = -below, -below-value
				below += value
			} else {
				above = to
			}
			y1, y2 := d.y(from), d.y(to)
			fmt.Fprintf(b, `<rect class="chart-bar %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s · %s · %s</title></rect>`,
				colour(n), x, min(y1, y2), bar, max(y1-y2, y2-y1, 0.5), esc(period), esc(s.Name), esc(d.chart.Format(value)))
		}
	}
}

func (d drawing) goal(b *strings.Builder) {
	if d.chart.Goal == nil {
		return
	}
	y := d.y(d.chart.Goal.Value)
	fmt.Fprintf(b, `<line class="chart-goal" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, y, y)
	// Below the line where there is no room above it.
	at := y - 5
	if y < top+14 {
		at = y + 15
	}
	fmt.Fprintf(b, `<text class="chart-text chart-strong" x="%d" y="%.1f" aria-hidden="true">%s %s</text>`, left+6, at, esc(d.chart.Goal.Name), esc(d.chart.Format(d.chart.Goal.Value)))
}

func (d drawing) line(b *strings.Builder) {
	s := d.chart.Line
	if s == nil || len(d.chart.Periods) == 0 {
		return
	}
	var points []string
	for i := range d.chart.Periods {
		x, wide := d.slot(i)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x+wide/2, d.y(max(s.at(i), 0))))
	}
	fmt.Fprintf(b, `<polyline class="chart-line" points="%s"/>`, strings.Join(points, " "))
	last := strings.Split(points[len(points)-1], ",")
	fmt.Fprintf(b, `<circle class="chart-dot" cx="%s" cy="%s" r="3.5"/>`, last[0], last[1])
}

// colour is the class of a series.
func colour(n int) string { return fmt.Sprintf("chart-%d", min(n, maxColours-1)+1) }

// Legend names the series, when there are several. The table has the names too, so a screen reader need not read it.
func (c Chart) Legend() template.HTML {
	if len(c.all()) < 2 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<ul class="chart-legend" aria-hidden="true">`)
	for n, s := range c.Bars {
		fmt.Fprintf(&b, `<li><svg viewBox="0 0 12 12" focusable="false"><rect class="chart-bar %s" width="12" height="12"/></svg>%s</li>`, colour(n), esc(s.Name))
	}
	if c.Line != nil {
		fmt.Fprintf(&b, `<li><svg viewBox="0 0 12 12" focusable="false"><path class="chart-line" d="M0 6H12"/></svg>%s</li>`, esc(c.Line.Name))
	}
	b.WriteString(`</ul>`)
	return template.HTML(b.String())
}
