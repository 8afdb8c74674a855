// Package guide serves the manual for members and operators, below /guide: short pages in French and English, open to
// everybody.
//
//	GET /guide         the list of pages
//	GET /guide/{page}  one of them
//	GET /guide/…png    a picture of a real screen
//
// A page is pages/fr/{page}.md and pages/en/{page}.md; pages.go lists them in their order. Its first line is its title,
// "# Title". Pictures are in pages/pictures and are linked as ![what it shows](/guide/pictures/name.png); a link to another
// page is [text](/guide/page), one to the console [text](/console).
package guide
