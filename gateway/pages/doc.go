// Package pages serves the public pages: a collective's campaigns, one campaign with
// its form, and what became of a donation. They work without JavaScript, set no cookie and
// load nothing from anywhere else. A page that waits has one small script of ours, wait.js, which looks again by itself, and a
// frame has embed.js, which tells its height.
//
// A form that is refused begins with a summary of what is wrong (page.Problems, template "problems"), and says it again at the
// field (template "problem"). Capitals and a slash at the end of an address lead to the page.
//
//	GET  /                                                campaigns that chose to be listed; ?page= goes on
//	GET  /privacy                                         what is kept, and who sees what
//	GET  /proof                                           checks a proof code in the browser; works as a saved copy
//	GET  /images/{collective}/{image}/{width}             a picture that is public; the address names its content
//	GET  /c/{collective}                                  who it is, its campaigns, its books, its legal notice
//	GET  /c/{collective}/monthly                          asks for an address, and has links to monthly donations mailed there
//	POST /c/{collective}/monthly/link                     does so; by GET it says what came of it
//	GET  /c/{collective}/{campaign}                       story, progress, stages, form, accounts, latest donations, news
//	GET  /c/{collective}/{campaign}/news                  its news; …/news/{item} is one, …/news.atom the feed
//	GET  …/picture.png, …/poster.pdf, …/qr.svg, …/qr.png  what is drawn of a campaign: beside a shared link, for a wall, to scan
//	GET  /oembed, /sitemap.xml, /robots.txt               for sites that embed links, and for search engines
//	GET  /c/{collective}/{campaign}/embed                 progress and form, in a frame of a site that is allowed
//	GET  /c/{collective}/{campaign}/badge.svg             progress as a picture
//	POST /c/{collective}/{campaign}/give                  starts a donation -> Stripe Checkout
//	GET, POST /c/{collective}/{campaign}/door             amounts to touch at the door of an event -> Stripe Checkout
//	GET  …/door/thanks, …/door/unpaid                     where its payment page leads back to, the same for all
//	GET  /c/{collective}/{campaign}/donations/{donation}      the truth about one donation
//	POST …/donations/{donation}/reopen                        -> its payment page, opened again
//	GET, POST …/donations/{donation}/receipt              its tax receipt: the form -> the PDF; …/erase erases who gave
//	GET  /c/{collective}/{campaign}/monthly/{recurring}   a monthly donation, for whom a link was mailed to
//	POST …/link, …/open, …/change, …/portal, …/stop       what its donor does with it
//	GET  /c/{collective}/{campaign}/pledge                giving otherwise than by card: the form
//	POST /c/{collective}/{campaign}/pledge                makes a slip
//	GET  /c/{collective}/{campaign}/pledges/{pledge}      the slip, to be printed; …/qr.svg is its code
//
// A form that starts a payment may be answered by a page that solves a challenge and sends it again (moment.go).
//
// Those of a donation, a monthly donation and a pledge say what the service knows, never what the address claims, and belong
// to one person: they are not stored and not indexed. A monthly donation is opened by the token of a mailed link, which a
// button redeems, since mail programs load pages too; after that the link's own address shows the donation for 30 minutes.
// Each post of its page ends with a redirect to that address, which is passed on in no Referer. The others hold nothing about who reads
// them, so shared caches may keep them for some seconds.
//
// A device at a door is used by strangers, so nothing of a donation stays on it. The page of a donation made there (its return
// address is the door's) redirects, which leaves no entry in the history, to thanks that name no amount. Back at the start,
// door.js takes the payment page and all after it out of the history and empties the fields; Back, Forward and reload show the
// start, from memory, too. What is left: during the thanks, and for browsers without a script, Back leads to the payment page,
// which says itself that it is over. A page after a payment goes back to the start by itself unless somebody wants to stay.
//
// A public page says in its head what it is, by the service's public address and never by the request's host: its handler
// calls site.share, which fills template "share" (title, description, canonical, languages, picture, schema.org). Drawings are
// kept in memory by what they show (drawings); see packages picture, poster, qr and typeface.
//
// Text is in the languages of donors, French first, from the catalogues strings/*.json: pages.*.json has the words of the first
// pages, each other file those of one part, with its name before their keys. The language is ?lang=, else the browser's,
// else, for a donation, the donor's choice. A visitor's credentials and
// origin are not passed on: these pages show what everybody sees.
package pages
