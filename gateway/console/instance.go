package console

// instanceSection has no pages yet.
func instanceSection() section { return section{name: "instance"} }
