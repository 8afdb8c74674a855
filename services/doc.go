// Package services is the map of what runs.
//
//	money         leaf: amounts in whole minor units, and currencies
//	access        who calls: API keys, roles, the one permission table
//	notices       what members or the operator must know: kinds, texts, mails, acknowledgements
//	collectives   who raises money: settings, time zone, which Stripe account
//	connect       accounts at Stripe: onboarding, what they may do, disconnection; whose the platform's own is
//	campaigns     what money is raised for: lifecycle, texts, stages, origins
//	donations     a donation, once or monthly: intent, Stripe Checkout, outcome; how often a network may start one
//	refunds       what happens to a payment later: refunds, disputes, fraud warnings
//	payouts       from Stripe's balance to the bank: lines at the bank, what is inside, differences
//	treasury      what a treasurer enters: offline donations, deposits of cheques, pledges, expenses
//	bank          bank statements, and what their lines show; bank/statement reads the files, without a database
//	webhooks      what Stripe says: events in, applied once, heard again when lost; balance transactions into the books
//	ledger        the books: accounts, balanced immutable transactions, balances; ledger/proof verifies them without a database
//	exports       the books as files
//	internal/     what they share, and what wires them; see each package
//	cmd/          cagnotte, the program; cagnotte-dev, the demo
//
// Services call one another as Go functions, in process, so that what must be true together commits
// in one Postgres transaction: a function that ends in Tx works in its caller's. gRPC is the outer
// edge, and everything from outside passes its interceptors (internal/rpc), REST and pages included.
//
// Each service has the same files: doc.go says what it owns and what never changes about it,
// <noun>.go holds types and rules without proto or SQL, store.go the SQL, server.go the way from
// proto to domain and back. The SQL schema and the proto package have the service's name.
//
// Who may import whom, kept by imports_test.go:
//
//	gateway              -> proto, money
//	cmd/cagnotte         -> internal/app
//	cmd/cagnotte-dev     -> internal/app, pgembed, stripesim, proto: it is a client too
//	internal/app         -> all services, gateway
//	webhooks             -> donations, refunds, payouts, ledger, connect, collectives, notices
//	refunds              -> donations, campaigns, connect, collectives, notices, access
//	exports              -> payouts, ledger, collectives
//	donations            -> campaigns, ledger, connect, collectives, notices
//	bank                 -> treasury, campaigns, ledger, collectives, notices
//	treasury             -> campaigns, ledger, collectives
//	payouts              -> ledger, collectives, notices
//	connect              -> collectives, notices, access
//	collectives          -> notices, access
//	notices              -> access
//	campaigns, ledger    -> no sibling
//	access, money        -> no sibling
//	ledger/proof         -> money alone, so that what it verifies needs no database
//	bank/statement       -> money, proto, internal/calendar, internal/errs, so that reading a file needs no database
//	any service          -> money, proto, internal/* but app, stripesim and, outside tests, *test
//	internal/rpc         -> access, to authenticate and authorise
//
// A campaign's progress is what its donations have brought. Donations know campaigns and not the other
// way round, so app hands campaigns the function that computes it, and the treasury adds to it what was spent.
// In the same way payouts and the treasury get the function of bank that looks for the line of a bank statement, once
// something is booked that moves the bank account.
package services
