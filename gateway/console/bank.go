package console

// bankSection has no pages yet.
func bankSection() section { return section{name: "bank"} }
