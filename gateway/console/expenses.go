package console

// expensesSection has no pages yet.
func expensesSection() section { return section{name: "expenses"} }
