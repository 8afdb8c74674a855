// Package stripe is the only package that calls Stripe's API and checks its signatures. It uses stripe-go v76, whose
// API version is [APIVersion], and returns small types with the fields that the services need. A donor's name and
// postal address are never decoded; the e-mail address is read by [Client.CustomerEmail] alone, for a mail that the
// donor asked for.
//
// # Files
//
// One file for each noun of Stripe's (session.go, refund.go, payout.go, ...), and
//
//	client.go    Client, keys, the HTTP call
//	budget.go    keeps calls below Stripe's rate limits
//	breaker.go   stops calls of an account that Stripe leaves unanswered
//	advice.go    headers of an answer: Retry-After, Stripe-Should-Retry, Idempotent-Replayed
//	bulkread.go  reads many objects by pages of their list
//	errors.go    kinds of failures
//
// # Invariants
//
//   - Every call names the Stripe account that it is about: empty for the platform's own, otherwise sent as the
//     Stripe-Account header.
//   - Every call is bounded by Config.Timeout and by its context. No call is made inside a database transaction.
//   - No call is repeated here: the caller holds the idempotency key and decides. Go's net/http may send a POST again
//     when a reused connection breaks, which is harmless under the same key and body.
//   - An idempotency key holds a hash of all parameters, so one key never has two bodies.
//   - Calls of [Background] work leave the rate limit to donors.
//   - While an API key is rolled there are two. After a 401 the next one is used, once Config.Fits accepts it.
//   - No global of stripe-go is set. No text of Stripe's is logged or returned, since it may quote user input.
//
// # Kinds of failures
//
// Each failed call is an [*Error] whose Kind says whether Stripe executed it:
//
//	Lost          no answer: unknown; the same key finds out
//	Throttled     not executed (429); the same key works later
//	Busy          a request with the same key is running (409)
//	Failed        Stripe failed (5xx), and repeats that under the same key
//	Refused       the request is wrong or not allowed (other 4xx); repeated under the same key
//	Missing       no such object on the account (404)
//	Unauthorized  Stripe knows none of the keys (401)
//
// Its chain ends in an errs.Error: UNAVAILABLE (STRIPE_UNAVAILABLE) for what can work later, else NOT_FOUND or
// INTERNAL.
//
// # Neighbours
//
// Donations uses sessions and subscriptions, refunds refunds and disputes, webhooks events and balance transactions,
// payouts payouts, collectives connected accounts; the program sets up webhook endpoints and checks keys. The package
// knows errs, money and postgres, and no service.
package stripe
