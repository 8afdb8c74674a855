package console

// donationsSection has no pages yet.
func donationsSection() section { return section{name: "donations"} }
