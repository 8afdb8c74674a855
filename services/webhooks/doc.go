// Package webhooks keeps gifts and books in step with Stripe: it receives Stripe's events, applies them, and
// reads Stripe's balance into the ledger.
//
// # What it owns
//
// The schema webhooks: the events, each once by account and id, and a row for each Stripe account with the
// position of its sync. Of an event only what is needed is kept; who paid is not.
//
// # Receive
//
// [Service.Receive] checks the signature, stores the event and answers; no work is done and Stripe is not
// called. Unknown types, the other livemode and events at the wrong endpoint are stored as ignored.
//
// # Apply and sync
//
// One River job an account does the rest, [Service.Run] in a loop. It applies each event in a transaction of
// its own; one that fails is tried again later, visible, and holds up no other. Then it lists the balance
// transactions that are new since the last one and posts them, with the gifts marked booked in the same
// transaction. So events are hints: with all of them lost, the timer books everything.
//
// A balance transaction can become visible long after its creation, behind any cursor. Three things find it:
// each sync looks a little behind the cursor, those on the timer further, once a day far; and a gift that is
// paid and not booked is asked for by itself.
//
// # One job, and none lost
//
// A job is live while it waits, or runs and says so every other second. The receiver, holding a shared
// advisory lock of the account, inserts a job only when none is live; the job ends, in the transaction that
// holds the lock exclusively, only when nothing is left to apply. So an event that comes while the job runs
// is either seen by it or gets the next one; a burst costs one cheap look for each event and no write to a
// shared row; and a program that was killed is replaced within seconds. Two jobs at once do no harm: all that
// they do is safe to do twice.
//
// # Neighbours
//
// It imports donations, ledger and collectives, and nobody but the wiring imports it.
package webhooks
