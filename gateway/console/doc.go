// Package console serves the pages of members and of the operator, below /console: rendered by the server, complete without
// JavaScript, French and English, a phone first.
//
// It is a client of the API and holds no rule: each action is an RPC, sent with the session of the cookie
// `__Host-cagnotte` as the bearer. Nothing else of the browser goes on to the services. What a member may not see is not
// found; who is not signed in is led to the sign-in and back.
//
//	console.go  New; the list of sections; templates
//	section.go  what a section is: routes and entries of the navigation
//	visit.go    one request: who asks, where; render, redirect, done, fail
//	session.go  the cookies; visit.fresh for pages that need a fresh proof
//	form.go     forms: fields, what was typed, what is wrong with it
//	list.go     pages of lists, and confirmations
//	signin.go   the ways in and out
//	icon.go     the pictures
//
// # A section
//
// A section "petitions" is petitions.go, templates/petitions/*.html and strings/petitions.{fr,en}.json, and a line in
// sections. Its names begin with its own. Keys of its catalogue get "petitions." in front.
//
//	func petitionsSection() section {
//		return section{
//			name: "petitions",
//			nav:  []navEntry{{label: "petitions.nav", icon: "flag", path: "/petitions", roles: petitioners}},
//			routes: []route{
//				{pattern: "GET /console/c/{collective}/petitions/new", serve: petitionsNew, roles: petitioners},
//				{pattern: "POST /console/c/{collective}/petitions/new", serve: petitionsCreate, roles: petitioners},
//			},
//		}
//	}
//
//	var petitionFields = []field{{Name: "goal", Label: "petitions.goal", Kind: "money", Suffix: "€", Path: "petition.goal"}}
//
//	func petitionsNew(v *visit) error { return v.show("petitions/new", v.T("petitions.newTitle"), v.newForm(petitionFields)) }
//
//	func petitionsCreate(v *visit) error {
//		f, err := v.readForm(petitionFields)
//		if err != nil {
//			return err
//		}
//		goal := f.money("goal", "EUR")
//		if !f.failed() {
//			_, err = client.CreatePetition(v.ctx(), …, RequestId: f.RequestID)
//			if err == nil {
//				return v.done("petitions.created", v.path("/petitions")) // says "done.created" there
//			}
//			if !f.refused(v, err) {
//				return err
//			}
//		}
//		return v.refuse("petitions/new", v.T("petitions.newTitle"), f) // what was typed stays
//	}
//
// templates/petitions/new.html: {{define "content"}}<h1>{{.Title}}</h1><form class="card" method="post">
// {{template "form" .Content}}{{template "fields" .Content}}<p class="actions"><button>{{.T "petitions.create"}}</button></p>
// </form>{{end}}. A form with files needs enctype="multipart/form-data" and a limit in its route. See console.css for tables
// (class list), badges, tabs, cards.
package console
