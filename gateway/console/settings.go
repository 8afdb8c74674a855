package console

// settingsSection has no pages yet.
func settingsSection() section { return section{name: "settings"} }
