package console

// campaignsSection has no pages yet.
func campaignsSection() section { return section{name: "campaigns"} }
