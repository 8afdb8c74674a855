// Package guide serves the manual for members and operators, below /guide: short pages in French and English, open to
// everybody.
//
//	GET /guide         the list of pages
//	GET /guide/{page}  one of them
//
// A page is pages/fr/{page}.md and pages/en/{page}.md; guide.go lists them in their order. Its first line is its title,
// "# Title". A link to another page is [text](/guide/page), one to the console [text](/console).
//
// Pictures of real screens are pages/pictures/{language}/{page}-{what}.webp. `make screenshots` takes them from a demo:
// gateway/e2e/screenshots-guide.mjs says where. A page shows one as ![what it shows](/guide/pictures/fr/start-sign-in.webp);
// it is served among the assets of all pages, at an address that names its content.
package guide
