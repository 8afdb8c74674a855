package chart

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func example() Chart {
	number := func(v int64) string { return strconv.FormatInt(v, 10) }
	return Chart{
		ID: "c", Title: "Dons <par> mois", Desc: "300 au total", Periods: []string{"janvier", "février", "mars"}, Ticks: []string{"janv.", "févr.", "mars"},
		PeriodName: "Mois", TotalName: "Total", Format: number, Short: number,
		Bars: []Series{{Name: "Carte & co", Values: []int64{100, 0, 50}}, {Name: "Chèque", Values: []int64{100, 50}}},
	}
}

// parse checks that a part of a page is well-formed, and returns its elements as they begin.
func parse(t interface{ Fatalf(string, ...any) }, html string) []xml.StartElement {
	d := xml.NewDecoder(strings.NewReader("<x>" + html + "</x>"))
	var all []xml.StartElement
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, html)
		}
		if e, ok := token.(xml.StartElement); ok {
			all = append(all, e.Copy())
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func TestAPictureIsReadByItsTitleAndDescription(t *testing.T) {
	picture := string(example().Picture())
	elements := parse(t, picture)
	svg := elements[1]
	if attribute(svg, "role") != "img" || attribute(svg, "aria-labelledby") != "c-title c-desc" {
		t.Errorf("%v", svg)
	}
	for _, want := range []string{`<title id="c-title">Dons &lt;par&gt; mois</title>`, `<desc id="c-desc">300 au total</desc>`, "Carte &amp; co"} {
		if !strings.Contains(picture, want) {
			t.Errorf("no %q in\n%s", want, picture)
		}
	}
	for _, e := range elements {
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") || e.Name.Local == "script" || e.Name.Local == "style" {
				t.Errorf("a strict policy refuses %v", e)
			}
		}
	}
}

func TestTheTableHasAllFigures(t *testing.T) {
	c := example()
	c.Line = &Series{Name: "Cumul", Values: []int64{200, 250, 300}}
	table := string(c.Table())
	parse(t, table)
	for _, want := range []string{
		`<th scope="row">mars</th><td class="number" data-label="Carte &amp; co">50</td><td class="number" data-label="Chèque">0</td><td class="number" data-label="Cumul">300</td><td class="number" data-label="Total">50</td>`,
		`<tfoot><tr><th scope="row">Total</th><td class="number" data-label="Carte &amp; co">150</td><td class="number" data-label="Chèque">150</td><td class="number" data-label="Cumul"></td><td class="number" data-label="Total">300</td>`,
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %s in\n%s", want, table)
		}
	}
	if strings.Index(table, "mars") > strings.Index(table, "janvier") {
		t.Error("the newest period is not first")
	}
}

// Bars have the heights of their values, do not overlap, and stay inside of the picture, as do the line and the goal.
func TestBarsHaveTheHeightsOfTheirValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := example()
		n := rapid.IntRange(0, 400).Draw(t, "periods")
		c.Periods, c.Ticks = make([]string, n), make([]string, n)
		values := rapid.SliceOfN(rapid.Int64Range(-10, 1e13), 0, n)
		c.Bars = []Series{
			{Name: "a", Values: values.Draw(t, "a")}, {Name: "b", Values: values.Draw(t, "b")}, {Name: "lost", Values: values.Draw(t, "lost"), Below: true},
		}
		c.Line = &Series{Name: "line", Values: values.Draw(t, "line")}
		c.Goal = &Mark{Name: "goal", Value: rapid.Int64Range(0, 1e13).Draw(t, "goal")}
		up, down := c.extent()
		scale := 0.0
		type box struct{ y1, y2 float64 }
		columns := map[string][]box{}
		for _, e := range parse(t, string(c.Picture())) {
			for _, name := range []string{"x", "y", "x1", "x2", "y1", "y2", "cx", "cy"} {
				if text := attribute(e, name); text != "" {
					v, err := strconv.ParseFloat(text, 64)
					if err != nil || v < 0 || v > width {
						t.Fatalf("%s of %v", name, e)
					}
				}
			}
			if e.Name.Local != "rect" {
				continue
			}
			y, _ := strconv.ParseFloat(attribute(e, "y"), 64)
			h, _ := strconv.ParseFloat(attribute(e, "height"), 64)
			if y+h > height-bottom+1 {
				t.Fatalf("a bar goes down to %.1f", y+h)
			}
			columns[attribute(e, "x")] = append(columns[attribute(e, "x")], box{y, y + h})
			scale = max(scale, h)
		}
		for x, boxes := range columns {
			for i, a := range boxes {
				for _, b := range boxes[i+1:] {
					if min(a.y2, b.y2)-max(a.y1, b.y1) > 0.7 {
						t.Fatalf("bars overlap at %s: %v", x, boxes)
					}
				}
			}
		}
		if up+down > 0 && scale > plotHeight+1 {
			t.Fatalf("a bar is %.1f high", scale)
		}
		parse(t, string(c.Table()))
		parse(t, string(c.Legend()))
	})
}

func TestScalesAreRound(t *testing.T) {
	for highest, want := range map[int64]string{0: "[0 1]", 1: "[0 1]", 7: "[0 2 4 6 8]", 100: "[0 50 100]", 123456: "[0 50000 100000 150000]", 8e17: ""} {
		if got := fmt.Sprint(ticks(highest, 4)); want != "" && got != want {
			t.Errorf("up to %d: %s, want %s", highest, got, want)
		}
	}
}

func TestAnEmptyChartSaysSo(t *testing.T) {
	c := example()
	if c.Empty() {
		t.Error("a chart with figures is empty")
	}
	c.Bars = []Series{{Name: "a", Values: []int64{0, 0}}}
	if !c.Empty() {
		t.Error("a chart of zeros is not empty")
	}
	parse(t, string(c.Picture()))
}
