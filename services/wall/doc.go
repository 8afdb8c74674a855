// Package wall stands before every way to make a payment, so that nobody can use the service to try stolen cards.
//
// # What it owns
//
// The schema wall: the results of payments by card of the last hours, and the card ways that are closed ([CardWays], closing.go).
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
// Donations call it and tell of closings. It imports no other service, and knows what it counts as plain values.
package wall
