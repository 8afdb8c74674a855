// Package services is the map of what runs.
//
//	money         leaf: amounts in whole minor units, and currencies
//	access        who calls: members, sessions, API keys, roles, the one permission table
//	approvals     what waits for a second person: pending changes, and the rule that says when
//	notices       what members or the operator must know: kinds, texts, mails, acknowledgements
//	audit         who changed what: one entry for each change of a member or the operator
//	collectives   who raises money: settings, time zone, which Stripe account
//	connect       accounts at Stripe: onboarding, what they may do, disconnection; whose the platform's own is
//	campaigns     what money is raised for: lifecycle, texts, stages, origins, news
//	images        pictures of campaigns and collectives: decoded, encoded anew, stored by their content
//	donations     a donation, once or monthly: intent, Stripe Checkout, outcome; wall: how many payments may be started
//	refunds       what happens to a payment later: refunds, disputes, fraud warnings
//	receipts      tax receipts: what a collective declares, numbers, who gave sealed to its treasurers' keys
//	payouts       from Stripe's balance to the bank: lines at the bank, what is inside, differences
//	treasury      what a treasurer enters: offline donations, deposits of cheques, pledges, expenses
//	bank          bank statements, and what their lines show; bank/statement reads the files, without a database
//	webhooks      what Stripe says: events, applied once and backfilled when lost; balance transactions into the books
//	ledger        the books: accounts, balanced immutable transactions, balances; ledger/proof verifies them without a database
//	overview      what members see at one look: the list of all that was given, sums over time, what needs somebody
//	exports       the books as files
//	instance      this installation: its state, the comparison with Stripe, webhook endpoints, verifications of the books
//	internal/     what they share, and what wires them; cmd/ has cagnotte, the program, and cagnotte-dev, the demo
//
// Services call one another as Go functions, in one process, so that what belongs together commits in one Postgres
// transaction: a function whose name ends in Tx takes its caller's. Everything from outside passes the interceptors of
// internal/rpc, REST and pages included. Each service has these files, and the proto package and the SQL schema have its
// name; donations also serves the proto package recurring, and refunds disputes. App hands lower services what they need of higher ones.
//
//	doc.go                      what it owns, its states, invariants and neighbours; 60 lines at most
//	server.go, <noun>server.go  from proto to domain and back; no other file knows the messages, and these have no SQL
//	<noun>.go, store.go         types and rules, and each statement (a constant in ...SQL) in a file that runs it
//
// layout_test.go keeps this, transactions_test.go the names in Tx, and imports_test.go who may import whom:
//
//	gateway              -> proto, money
//	cmd/cagnotte         -> internal/app
//	cmd/cagnotte-dev     -> internal/app, pgembed, stripesim, proto: it is a client too
//	internal/app         -> all services, gateway
//	instance             -> webhooks, connect, ledger, ledger/proof, notices, collectives, audit, access
//	webhooks             -> donations, refunds, payouts, ledger, connect, collectives, notices, audit
//	refunds              -> donations, campaigns, connect, collectives, notices, access, audit
//	receipts             -> donations, treasury, campaigns, collectives, approvals, notices, access, audit
//	overview             -> campaigns, collectives, access
//	exports              -> payouts, ledger, collectives
//	donations            -> wall, campaigns, ledger, connect, collectives, notices, audit
//	bank                 -> treasury, campaigns, ledger, collectives, notices, audit
//	treasury             -> wall, campaigns, ledger, collectives, audit
//	payouts              -> ledger, collectives, notices
//	connect              -> collectives, notices, access, audit
//	collectives          -> approvals, notices, access, audit
//	approvals            -> notices, access, audit
//	notices              -> access, audit
//	audit                -> access, ledger/proof
//	campaigns, images, ledger -> audit
//	access, money, wall  -> no sibling
//	ledger/proof         -> money alone, so that what it verifies needs no database
//	bank/statement       -> money, proto, internal/calendar, internal/errs, so that reading a file needs no database
//	any service          -> money, proto, internal/* but app, stripesim and, outside tests, *test
//	internal/rpc         -> access, to authenticate and authorise
package services
