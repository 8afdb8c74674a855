// Package stripesim is a stateful simulator of the part of Stripe that Cagnotte uses, over HTTP in API version
// 2023-10-16, as stripe-go v76 calls it. Flow, property, kill and browser tests run against it, and so does the demo.
// The production program never imports it, and it imports no other package of the project.
//
// # What it simulates
//
//   - Checkout Sessions paid by card, with 3-D Secure, with their payment intents, charges, balance transactions and
//     events. Each connected account is a world of its own.
//   - SEPA debits, also of subscriptions (subscriptiondebit.go), once [Sim.OfferDebits] offers them. They are unpaid
//     until the bank answers on the clock, according to the test IBAN, or by [Sim.SettleDebit].
//   - Prices in the donor's currency ([Sim.Localize]), and balances in another currency ([Sim.SetExchange]).
//   - Subscriptions by Checkout, renewed on the clock, retried and given up as Stripe does; the billing portal.
//   - Standard accounts of Connect, with their onboarding page, requirements and disconnection.
//   - Refunds, which can wait for money and fail after they succeeded; disputes and inquiries with their fees; early
//     fraud warnings. Banks, card networks and the dashboard act through calls such as [Sim.Dispute].
//   - Payouts: automatic ones each midnight ([Sim.SchedulePayouts]) and manual ones ([Sim.CreatePayout]); paid after
//     two days, failed, canceled, negative.
//   - The transport: keys, idempotency, parameter checks, cursors, expansion, errors in Stripe's form, rate limits
//     ([Sim.SetLimit]), rolled keys ([Sim.SetAPIKeys]).
//   - Webhooks: signed, in order or not, retried, late, twice or lost, as [Delivery] says; endpoints made by the API.
//   - The surroundings: a hosted payment page (/pay/{session}), a [Clock] that can be moved, fees that arrive after
//     their charge, and [Fault]s of the API.
//
// What Stripe supports and this package does not is refused with the word "simulated" in the message, never ignored,
// so that a test cannot pass because a parameter was dropped.
//
// # Rules that its users rely on
//
//   - A balance transaction's created is its charge's time, even when it becomes visible later. A sync that remembers
//     the newest created it saw misses one, as with Stripe.
//   - A session has no payment intent before the first payment attempt (API 2022-08-01 and later). A declined card
//     leaves the session open, and the next attempt uses the same intent. A paid or expired session never changes.
//   - A session's metadata is not copied; payment_intent_data[metadata] reaches the intent and its charges.
//   - Every event is recorded, delivered or not; after 30 days of the clock it is deleted.
//   - 4242424242424242 is a French card here, and one of the United States in Stripe's test mode, so that the common
//     number has the common fee.
//   - A charge has at most one dispute. [Sim.SetLowBalance] decides whether the balance covers refunds; it is not
//     computed, since Stripe would take what is missing from the bank account.
//   - A charge settles in its own currency unless a control says otherwise. Rates are the control's, and Stripe's
//     fee for converting is not charged.
//   - A debit's balance transaction has the time of the bank's answer. Business days are Mondays to Fridays.
//
// # How it is built
//
// [Sim] holds one [world] for each account behind one mutex. Every entry (an API request, a page, a test's call, a
// timer) takes the lock by Sim.lock, which first performs what is due on the clock, and releases it by Sim.unlock,
// which hands new events to the dispatcher and the state to the saver. Inside, time is an argument. Future changes,
// such as debits, renewals and payouts, are items of the agenda, named by kind; a new feature adds a kind and its
// function (agenda.go). Rows hold what varies, and render returns all members of Stripe's object.
package stripesim
