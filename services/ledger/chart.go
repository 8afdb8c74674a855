package ledger

import (
	"embed"
	"encoding/csv"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed charts/*.csv
var chartFiles embed.FS

// DefaultChart is the French chart for associations, in force since 2025.
const DefaultChart = "fr-associations-2025"

// chartColumns is the first line of every chart file. Roles are separated by spaces.
var chartColumns = []string{"code", "type", "roles", "display_name"}

// allRoles are the roles that a chart must give, each once.
var allRoles = []AccountRole{
	RoleStripeBalance, RoleStripeFees, RoleDonations, RoleRefunds, RoleDisputes, RoleTransit, RoleBank, RoleUnknownReceipts,
	RoleSurplus, RoleDeficit,
	RoleCash, RoleChequesToBank, RoleSuppliers, RoleLawyerFees, RoleLitigationCosts,
}

// chartAccount is a line of a chart.
type chartAccount struct {
	code        string
	accountType AccountType
	roles       []AccountRole
	displayName string
}

// Charts returns the names of the shipped charts, sorted.
func Charts() []string {
	files, err := fs.Glob(chartFiles, "charts/*.csv")
	if err != nil {
		panic("ledger: the pattern is a constant: " + err.Error())
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(path.Base(file), ".csv")
	}
	slices.Sort(names)
	return names
}

// readChart reads a shipped chart. The database checks codes and types.
func readChart(name string) ([]chartAccount, error) {
	file, err := chartFiles.Open("charts/" + name + ".csv")
	if err != nil {
		return nil, fmt.Errorf("no chart of accounts is named %q; there are %s", name, strings.Join(Charts(), ", "))
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("chart of accounts %s: %w", name, err)
	}
	if len(lines) == 0 || !slices.Equal(lines[0], chartColumns) {
		return nil, fmt.Errorf("chart of accounts %s: the first line must be %s", name, strings.Join(chartColumns, ","))
	}
	var chart []chartAccount
	// filled are the roles of all lines together.
	var filled []AccountRole
	for _, line := range lines[1:] {
		account := chartAccount{code: line[0], accountType: AccountType(line[1]), displayName: line[3]}
		for _, role := range strings.Fields(line[2]) {
			account.roles = append(account.roles, AccountRole(role))
		}
		filled = append(filled, account.roles...)
		chart = append(chart, account)
	}
	want := slices.Sorted(slices.Values(allRoles))
	if slices.Sort(filled); !slices.Equal(filled, want) {
		return nil, fmt.Errorf("chart of accounts %s: gives the roles %v, not each of %v once", name, filled, want)
	}
	return chart, nil
}
