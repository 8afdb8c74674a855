// Package text has what every page for people needs to write and to read in their language: sentences, amounts, days and
// plurals. The public pages, the console and the guide use it. It knows no page and no service.
//
//	catalogue.go  the sentences of a package, one file a section and language -> one [Words] a language
//	plural.go     the plural forms of each language
//	format.go     amounts, shares
//	calendar.go   days, months, times
//	parse.go      amounts and days as people type them
//	typeset.go    the spaces and quotes of French
//	language.go   which language a reader wants
//
// Donors read [Languages], members [MemberLanguages]. Another language is a row here and in package money, and a file of each
// catalogue: the tests name what lacks.
//
// A package embeds its catalogues and loads them with [Load]. A file section.fr.json is a JSON object of sentences. Its keys
// get the section's name and a point in front, so that two sections cannot take the same key: "title" in
// strings/books.fr.json is T "books.title". Only the sections "strings" and "pages" have none. A sentence with a number is
// an object of the plural forms that its language has in CLDR, {"one": "{n} don", "other": "{n} dons"}, for [Words.N]. Breton
// has one, two, few, many and other.
//
// Package texttest keeps the catalogues of a package in step with one another, and with its templates and its Go code.
package text
