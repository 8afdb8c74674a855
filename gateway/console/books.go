package console

import accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"

// bookkeepers see the books.
var bookkeepers = []accessv1.Role{owner, treasurer, auditor, operator}

// booksSection has the books.
func booksSection() section { return section{name: "books"} }
