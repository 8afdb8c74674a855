// Package stripesim is a stateful simulator of the part of Stripe that Cagnotte uses, spoken over HTTP in
// API version 2023-10-16, as stripe-go v76 sends it. Flow, property, kill and browser tests run against it,
// and so does the demo; the production program never imports it.
//
// # What it simulates
//
//   - Checkout Sessions paid by card, with 3-D Secure, with the payment intents, charges, balance
//     transactions and events that follow; one separate world for each connected account. Sessions that expired
//     are recovered by their URL, or [Sim.Recover].
//   - SEPA debits, also of subscriptions (subscriptiondebit.go), once [Sim.OfferDebits] switches them on: unpaid until
//     the bank answers on the clock, by the test IBAN, or [Sim.SettleDebit] does.
//   - Prices in the donor's currency ([Sim.Localize]) and balances in another than the charge's ([Sim.SetExchange]).
//   - Subscriptions by Checkout, renewed on the clock by their invoices, which are tried again and given up as Stripe
//     does; the billing portal, where a person changes the card or ends one.
//   - Standard accounts made by Connect, with their onboarding page, what Stripe still wants to know, and their end.
//   - Refunds, which can wait for money and fail after they succeeded; disputes and inquiries with their fees; early
//     fraud warnings. Banks, card networks and the dashboard act through calls such as [Sim.Dispute].
//   - Payouts: automatic ones each midnight, once [Sim.SchedulePayouts] switches them on, and those that
//     [Sim.CreatePayout] makes; paid after two days, failed, canceled, negative.
//   - The transport: keys, idempotency, parameter checks, cursors, expansion, errors in Stripe's form.
//   - Webhooks: signed, ordered or not, retried, late, double or lost, as [Delivery] says.
//   - Webhook endpoints made through the API, limits ([Sim.SetLimit]), keys that are rolled ([Sim.SetAPIKeys]).
//   - The world around: a hosted page on which a person pays (/pay/{session}), a [Clock] that can be moved,
//     fees that arrive after their charge, and [Fault]s of the API.
//
// What Stripe knows and this package does not is refused with the word "simulated" in the message, never
// ignored: a test must not pass because a parameter fell on the floor.
//
// # Rules that its users rely on
//
//   - A balance transaction's created is its charge's time, even when it becomes visible later. A sync that
//     remembers the newest created it saw will therefore miss one, as in life.
//   - A session has no payment intent before somebody tries to pay (API 2022-08-01 and later). A declined
//     card leaves the session open; the same intent is tried again. A paid or expired session never changes.
//   - The session's metadata is not copied; payment_intent_data[metadata] reaches the intent and its charges.
//   - Every event is recorded whether or not a webhook reaches anybody; after 30 days of the clock it is gone.
//   - In a real test account 4242424242424242 is a card of the United States. Here it is a French one, so
//     that the common number has the common fee.
//   - A charge has one dispute at most. Whether the balance covers refunds is said by [Sim.SetLowBalance], and not
//     computed: Stripe would take what is missing from the bank account.
//   - A charge lands in the balance of its own currency unless a control says otherwise. Rates are the control's,
//     and Stripe's fee for converting is not charged.
//   - A debit's balance transaction has the time of the bank's answer. Only Mondays to Fridays are business days.
//
// # How it is built
//
// [Sim] holds one [world] per account behind one mutex. Whatever enters (an API request, the page, a test's
// call, a timer) takes the lock through Sim.lock, which first makes everything happen that was due on the
// clock, and leaves through Sim.unlock, which hands new events to the dispatcher and the state to the saver.
// Inside, time is an argument. Things to come, such as debits that confirm after days, renewals and
// payouts, are items of the agenda, named by kind; a new feature adds a kind and its function. Objects are kept as what
// varies and rendered as what Stripe shows: render lists every member of the real object.
//
// The package knows no other package of the project.
package stripesim
