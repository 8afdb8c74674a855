package console

// newsSection has no pages yet.
func newsSection() section { return section{name: "news"} }
