package console

// spreadSection has no pages yet.
func spreadSection() section { return section{name: "spread"} }
