package console

// homeSection has the first page of a collective.
func homeSection() section {
	return section{
		name: "home",
		nav:  []navEntry{{label: "home.nav", icon: "home", path: ""}},
		routes: []route{
			{pattern: "GET /console/c/{collective}", serve: home},
			{pattern: "GET /console/c/{collective}/{$}", serve: home},
		},
	}
}

func home(v *visit) error { return v.show("home/home", v.T("home.title"), nil) }
