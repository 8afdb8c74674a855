// Package instance owns what the operator must know of the installation as a whole, and the checks of it.
//
// # What it owns
//
// The schema instance: the outcome of the last check of each kind, and verifications of the books.
//
//	state of a verification  meaning                                next
//	waiting                  its job is not begun                   running
//	running                  books are verified one by one          sound, differs, failed
//	sound                    nothing differs                        -
//	differs                  something differs; each book says what -
//	failed                   a book could not be read               -
//
// # Stripe
//
// [Check] compares an installation with Stripe and changes nothing. [SetUp] creates or updates the two webhook endpoints.
// Both are what the commands `cagnotte stripe check` and `cagnotte stripe setup` do; the service does the same with its own
// settings, and stores the outcome. The signing secret of an endpoint that the service creates is stored encrypted by package
// webhooks, so that nobody edits a file. The command prints it instead.
//
// # Invariants
//
//   - No answer and no row has a secret: keys, signing secrets, passwords of mail servers.
//   - One verification waits or runs at a time. The database keeps that.
//   - An endpoint whose secret could not be stored is deleted at Stripe again, since Stripe tells a secret once.
//   - An endpoint is replaced in this order: the new one is created, its secret stored, the old one deleted. So no event is
//     lost, and one that comes twice is stored once.
//
// # Neighbours
//
// It imports webhooks, connect, ledger, notices, collectives and audit; only the wiring imports it.
package instance
