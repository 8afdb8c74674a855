// Package pages serves the public pages: a collective's campaigns, one campaign with
// its form, and what became of a gift. They work without JavaScript, carry none, set no
// cookie and load nothing from anywhere else.
//
//	GET  /                                                a word about this site
//	GET  /c/{collective}                                  its campaigns
//	GET  /c/{collective}/{campaign}                       story, progress, stages, form
//	POST /c/{collective}/{campaign}/give                  starts a gift -> Stripe Checkout
//	GET  /c/{collective}/{campaign}/gifts/{donation}      the truth about one gift
//
// The last one says what the service knows, never what the address claims, and belongs to
// one person: it is not stored and not indexed. The others hold nothing about who reads
// them, so shared caches may keep them for some seconds.
//
// Text is in French first and in English, from the catalogues strings.*.json; the language is
// ?lang=, else the browser's, else, for a gift, the donor's choice. A visitor's credentials and
// origin are not passed on: these pages show what everybody sees.
package pages
