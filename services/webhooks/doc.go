// Package webhooks keeps donations and books in step with Stripe: it receives Stripe's events, applies them, and
// reads Stripe's balance into the ledger.
//
// # What it owns
//
// The schema webhooks: the events, each once by account and id; a row for each Stripe account with the positions
// of its sync and of its list of events; the balance transactions that are parked; and whose that is which belongs to no
// donation. Of an event only what is needed is kept; who paid
// is not.
//
// # Receive
//
// [Service.Receive] checks the signature, stores the event and answers; no work is done and Stripe is not
// called. Unknown types and the other livemode are stored as ignored. An event at the wrong endpoint is not
// stored, for the right one gets it too. A failed event that is sent again begins anew.
//
// What comes at once shares a statement and a commit (intake.go, storeevents.go): while one batch is under way the
// next one gathers, and each delivery is answered after its own commit. One that cannot be stored fails alone: then
// all of its batch are tried one by one. An account whose job is just ending can hold up those of others for the
// moment of its commit.
//
// Of an event nothing is read but the envelope until its type asks for more, and then no more than the members that
// matter. The burst of internal/app (20,000 donations, two cores that senders, Postgres and program share) has about 11,000
// deliveries a second accepted with the job held, .7 of what pgbench inserts one a commit, and 6,000 while the job applies
// and books them beside.
//
// # Apply and sync
//
// One River job an account does the rest, [Service.Run] in a loop. It applies events of sessions together, and when
// one of them is refused each in a transaction of its own; one that fails is tried again later, visible, and holds
// up no other. An event that names an object,
// such as a dispute, only says that there is something to read: all due events of one object are answered by
// one reading of it (readers in object.go), so that order does not matter and nothing in another API version
// is believed. Then it syncs, the newest money first:
//
//   - It follows the balance: lists the balance transactions from the newest down to the cursor and a little
//     behind it, and books them, posted to the ledger with their donations marked in the same transaction.
//   - It polls: donations that are paid and not booked are asked for (poll.go).
//   - It tries parked balance transactions again.
//   - It has package payouts bring the account's payouts in step.
//   - It looks back.
//   - On the timer, it compares the books with the balance.
//
// So events are hints: with all of them lost, the timer books everything. A refund or a dispute that the balance
// shows is read by donations in a job of its own, so it is known as well.
//
// # Monthly donations
//
// The charge of an invoice carries no metadata. Where nothing known leads from it to a donation, donations is asked, which
// reads its invoice and makes its month, before the batch is posted ([donations.Lookup]); invoices that cannot be read
// now leave their balance transactions parked, also those that may not be read: a key without that permission must not
// turn monthly donations into unknown receipts. So do the sessions of single donations whose events were lost: what a charge's
// metadata says is never believed. Events of invoices and subscriptions are read again, like all objects.
//
// # Debits that are in the balance early
//
// Stripe has some debits in its balance while their bank has not answered, and takes them out again when they fail.
// Until then their money is in transit in the books and the donation is under way. The answer moves no money at Stripe: what
// arrived is posted under the balance transaction's id and "_arrived", when the paid donation, or the payment itself, is
// polled. A month after the first, which no session speaks of, fails when its money goes out again.
//
// # Looking back
//
// A balance transaction can become visible long after its creation, behind any cursor. One of a donation is polled
// for. All others are found by the look back, which reads three days once a day, and thirty once a week. It has
// a position of its own, is made in steps that last, and comes last, so that it may take as many jobs as it
// needs. What is too much for one step of following, such as the history of a new account, is left to it.
//
// # Whose
//
// What belongs to no donation is the collective's that could use the account alone when it happened, and nobody's where
// there were several (owner.go). That is decided once, for the payment, payout or other object that Stripe names, and
// holds for all that comes back of it, whoever has come meanwhile and whichever of the two is read first. What is held
// back and released bears no name: all holds of one kind and currency are a pot, and a release is theirs whose money was
// held, so that each one's transit returns to zero. What only a person can explain, or match with a line of the bank, is
// told to those whose it is.
//
// # Parking
//
// Nothing holds up what is newer. A balance transaction that the ledger refuses, or whose payment or source
// Stripe cannot tell of now, is parked in the transaction that moves the position past it, read again and
// tried with growing pauses until it is booked; metrics count those that wait. So is one of a shape that Stripe does not
// document, where it hides whose money it is, and those who must act are told. What happened in a period that
// was closed meanwhile is not refused for good: it is booked where the open period begins.
//
// # Compared
//
// Once an hour what the books have at Stripe is compared with Stripe's own balance, available and pending, for each account
// and currency (balance.go): the balance is read, then what is new in it, then both, and again when money moved meanwhile.
// What is parked counts, for it is in sight. A difference that comparisons in a row show is told, to the operator and to
// the collective that has the account alone, and a metric counts it until both are equal again.
//
// # Hearing
//
// A webhook can be lost, and with it what no balance transaction tells: a subscription that ended, a dispute, an
// account. So Stripe's list of events is read too (hear.go), one for each account, at the start and on the timer,
// from a position that lasts, as far back as Stripe keeps events. What is not there is stored as if it had been
// received, by its id, since Stripe renders the list in the version of each event's creation: whoever relied on the
// objects in it would be wrong about every account whose own version is not ours. Hints are left out.
// Where a reading is, is kept after each page, since a job is cut off: a list that is too long for one goes on in the
// next, however much happened in however short a time. An account that
// answers "no access" there is noted as disconnected, and tried again every hour, and whenever Stripe says something of
// its connection; the events that waited for it wait again once it is back.
//
// # Health
//
// Members see how their account is in step and may replay what failed (health.go, replay.go). Reading is for all
// who use the account; acting on it is for its sole collective, or the operator.
//
// # Catching up
//
// [Service.CatchUp] is called when a program starts to work jobs. It gives every account a job, whatever was
// missed while no program ran, and whatever a killed one seems to be doing still. It waits for no leader.
//
// # Few calls
//
// Stripe takes 25 calls a second of a test key, and donors need them. What is to be read of many is read by the pages
// of Stripe's lists, a hundred at once, each page beginning at the newest object that is still wanted (find.go in
// internal/stripe): sessions, invoices and subscriptions that events only name, by when Stripe says that they were made,
// and the charges of donations without a fee, by when they were paid. A handful, and what is not met there, is read one by
// one, so that the worst case costs three calls more than that alone. What is met is applied as if it had been read by
// itself; it is read after its event was stored, so it is not older. A subscription that is changed in the moment
// between is put right by the event of its change. In a burst whose webhooks were all lost, a donation costs less than a
// tenth of a call over its whole life, whether by card, by debit, with a late fee, monthly or never paid (internal/app
// counts them). What is still read by itself: refunds, disputes, warnings, payouts, and the subscription of an invoice
// that was not paid; and donations asks, two calls each, about monthly donations whose renewal was not heard of.
//
// # One job, and none lost
//
// A job is live while it waits, or runs and says so every other second. The receiver, holding a shared
// advisory lock of the account, inserts a job only when none is live; the job ends, in the transaction that
// holds the lock exclusively, only when nothing is left to apply. So an event that comes while the job runs
// is either seen by it or gets the next one; a burst costs one cheap look for each batch of events and no write to
// a shared row; and a program that was killed is replaced within seconds. Two jobs at once do no harm: all that
// they do is safe to do twice. Pauses are kept by the database's clock, which all programs share.
//
// # Neighbours
//
// It imports donations, ledger, collectives and payouts, and nobody but the wiring imports it. What an object means is
// said by its owner: donations, refunds and disputes by donations, payouts by payouts, accounts by collectives.
package webhooks
