// Package wall stands before every way to make a payment, so that nobody can use the service to try stolen cards.
//
// # What it owns
//
// The schema wall: how many payments were started, by network, campaign, Stripe account and instance, and which solutions were
// used. These are keyed hashes, without an address or a campaign's name. Rows are deleted once they limit nobody. It also owns the
// results of payments by card of the last hours, and the card ways that are closed ([CardWays], closing.go).
//
// # How an attempt is judged
//
//	below every soft limit     it passes, and nothing is asked
//	over a soft limit          CHALLENGE_REQUIRED, where Limits.Challenges is on; with a valid solution it passes
//	over a hard limit          RESOURCE_EXHAUSTED (TOO_MANY_DONATIONS), with the time to wait
//
// Keys nest. A network is counted by its address or /64, by /56 and /48, and by /24, /16 and /40 (network.go): whoever has many
// addresses has them under one of these. Then come the campaign, the account and the instance (counter.go). These count
// payments that were started and not paid. A payment takes back what its start added, and raises the limit. So a morning on
// television, when most people pay, passes, and a storm, when nobody pays, does not.
//
// A challenge (challenge.go) is a text whose proof of work takes a cheap phone a second, and more for a network that is far over
// its limit. Without JavaScript the text itself is the solution, once it has aged for one to three minutes; few of these pass.
//
// # Invariants
//
//   - [Service.Check] reads and writes nothing. Attempts that it refuses leave no row, so that an attack grows no table.
//   - [Service.TakeTx] counts in the caller's transaction, and is called last in it: it locks the rows of the network until the
//     commit. What it refuses is counted nowhere, since the transaction ends.
//   - Rows of campaigns, accounts and the instance are shared by all donors. Nobody waits for one: a transaction takes a part of
//     the counter that is free, or adds one.
//   - A challenge is bound to the kind of payment, campaign, amount and currency. It is good once, and for ten minutes.
//   - What is repeated with the same request id is counted once, which the callers see to.
//
// # Declines close the card way of one campaign and account
//
//	open     all pages may be opened      20 declines of 7 donations in 10 minutes, or 60 of 20 in two hours, close it
//	closed   none may                     pages that are open close after two declines
//	probing  5, then 25 in 15 minutes     4 declines of 2 donations close it again, for twice as long
//
// Somebody may buy declines in order to close a small collective's card way. So a donation counts three declines at most, payments
// weigh against declines (more than two thirds must be declined), the first closing lasts five minutes, and only declines that go
// on make it longer: four hours at most, and a day without one forgets. Nothing but that campaign and account closes: never the
// whole account, since others share it, and never transfers, cheques and cash.
//
// # Neighbours
//
// Donations and treasury call it, and donations tell of closings. It imports no other service, and knows what it counts as plain values.
package wall
