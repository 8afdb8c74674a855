// Package markdown turns Markdown into HTML that is safe on our pages: the stories, news and thank-yous of campaigns, what
// collectives say of themselves, and the pages of the guide.
//
//	markdown.go  the renderer
//	typeset.go   French typography
//	summary.go   the beginning of a rendered text, without tags
//
// # Two fences
//
// goldmark drops raw HTML, and what it writes is then cut down to a list of elements. Images are not in it, since each would
// tell another server who reads.
//
// # A text is rendered once
//
// What a text becomes depends on the text and its language alone. So a [Renderer] renders a text when it is first shown after
// it was saved, and has the HTML from then on, under the hash of the text. A changed text has another hash: nothing has to be
// thrown away, and nothing can be out of date. What was rendered has 16 MiB, and leaves it when others are read more often.
// A text that is made for it can take long to render, so one is rendered at a time.
//
// The HTML is not stored beside the text in the database. It would save each process its first render of each text, about
// 10 ms for 20 kB. It would cost a second column of the same size that is read with each campaign, its way through
// the contract, a version of the renderer in each row, a job that renders old rows again when a release changes the
// renderer, and HTML in the database that the pages would have to trust. deploy/benchmarks.md has the figures.
//
// # Neighbours
//
// Package pages shows members' texts, console their previews, guide our own pages. It takes the typography from package text.
package markdown
