package console

// meSection has no pages yet.
func meSection() section { return section{name: "me"} }
