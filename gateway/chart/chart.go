package chart

import _ "embed"

//go:embed chart.css
var style []byte

// Style returns the rules that charts need. It uses the variables of gateway/design.
func Style() []byte { return style }

// maxColours is how many series have a colour of their own; the ones after that share the last.
const maxColours = 8

// Chart is figures over time. Title, Desc and all names are texts for people, and are escaped.
type Chart struct {
	// ID begins the ids of the picture's parts; it must be unique on the page.
	ID string
	// Title says what is shown, and Desc what is to be seen: the sum, the highest value. Both are read in place of the picture.
	Title, Desc string
	// Periods are the names of the periods for the table, oldest first; Ticks are short ones for the axis, as many.
	Periods, Ticks []string
	// Links are addresses that the periods of the table lead to; none when empty.
	Links []string
	// PeriodName and TotalName head the first and the last column; there is no total when TotalName is empty.
	PeriodName, TotalName string
	// Bars are stacked in their order, those with Below from the axis down.
	Bars []Series
	// Line is drawn over the bars, on the same scale; nil for none.
	Line *Series
	// Goal is a horizontal line; nil for none.
	Goal *Mark
	// Format writes a value for the table and the legend, Short one for the axis. Values are whole numbers: minor units, or
	// counts.
	Format, Short func(int64) string
}

// Series is one value for each period. A value that is missing at its end is 0; negative ones are drawn as 0.
type Series struct {
	Name   string
	Values []int64
	// Below draws the bars below the axis.
	Below bool
}

// Mark is a value of its own.
type Mark struct {
	Name  string
	Value int64
}

// at is the value of a period.
func (s Series) at(i int) int64 {
	if i >= len(s.Values) {
		return 0
	}
	return s.Values[i]
}

// Empty reports whether there is nothing to see.
func (c Chart) Empty() bool {
	for _, s := range c.all() {
		for _, v := range s.Values {
			if v != 0 {
				return false
			}
		}
	}
	return true
}

// all are the series of the table, in the order of its columns.
func (c Chart) all() []Series {
	all := append([]Series{}, c.Bars...)
	if c.Line != nil {
		all = append(all, *c.Line)
	}
	return all
}
