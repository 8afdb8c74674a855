// Package chart draws charts as SVG, with the same figures in a table. Its functions are pure: a chart in, HTML out. It knows no
// page, no service and no language: all texts come with the chart.
//
//	chart.go  what a chart is
//	draw.go   the picture: bars that may be stacked, bars below the axis, a line, a goal
//	table.go  the table
//	scale.go  round numbers for the axis
//	chart.css the colours, light and dark; [Style]
//
// # For everybody
//
// A picture has a title and a description, which a screen reader says in its place; the table has all figures. What a part
// is, is told by its place and by the legend, not by colour alone: parts of a stack are in the order of the legend. The picture
// scales with its container. It has no script and no inline style, only classes and attributes, for a strict policy.
package chart
