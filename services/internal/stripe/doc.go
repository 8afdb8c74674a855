// Package stripe is the only one that speaks Stripe's API and checks its signatures. It stands on
// stripe-go v76, whose API version is [APIVersion], and lets nothing of it out: results are small types that
// hold what the services need and no more. A donor's name and postal address are never even decoded; the e-mail address
// is by [Client.CustomerEmail] alone, for a mail that the donor asked for.
//
// # Calls
//
// A [Client] has its own backend and transport; no global of stripe-go is set. Every call takes the Stripe
// account that it is about: "" is the platform's own, anything else becomes the Stripe-Account header. Every
// call is bounded by Config.Timeout and by its context. No call is repeated here: the callers hold the
// idempotency key and decide. What Go's net/http does by itself, sending a POST with an Idempotency-Key once
// more when a reused connection breaks, is harmless, since key and body are the same. None is made inside a database
// transaction: it is refused.
//
// # Budget
//
// A process keeps its calls below Stripe's limit (budget.go), all of them together and each kind by itself. Calls of
// [Background] work leave the way free for donors. During the roll of a key there are two: a 401 leads from the first
// to the next, once whoever keeps the books has seen whose it is.
//
// When Stripe leaves several calls of one account in a row unanswered, no more are made for a while that somebody would
// wait for (breaker.go): they fail at once with the error that they would have ended in. Then one is tried. It is by
// account, since what is wrong with one is no other's affair, and in each process by itself.
//
// Many objects are read by the pages of their list rather than each by itself (find.go).
//
// # Errors
//
// Each is an [*Error], whose Kind says what is known of the request's fate, and whose chain ends in an
// errs.Error: UNAVAILABLE (STRIPE_UNAVAILABLE) for what can work later, NOT_FOUND or INTERNAL for what cannot.
// Texts of Stripe's are left out, since they may quote what somebody typed.
//
// # Neighbours
//
// One file is one noun of Stripe's. Donations sells sessions, refunds, and changes subscriptions; webhooks verifies
// events, lists balance transactions and reads the balance; payouts reads payouts; collectives makes and reads connected accounts; the
// program sets up webhook endpoints and tries out keys. The package knows errs, money and postgres, and no service.
package stripe
