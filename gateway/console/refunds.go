package console

// refundsSection has no pages yet.
func refundsSection() section { return section{name: "refunds"} }
