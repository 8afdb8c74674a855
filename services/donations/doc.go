// Package donations takes donations: from their start, over Stripe Checkout, to what became of each.
//
// # What it owns
//
// The schema donations: one row for each donation that somebody started, and for each monthly donation; what became of donations
// later, which is refunds, disputes and early fraud warnings; the tokens of donors' links; and the limit on how often
// one network starts donations. Nothing in it tells who gave. What was asked for (campaign, amount, request id) and the
// Stripe account never change; the state moves by the table in state.go, and the database refuses any other step:
//
//	created --> pending --> succeeded <--> partially_refunded <--> refunded <--> disputed
//	   |           |            ^
//	   +-----------+--> expired, failed, canceled
//
// A paid donation stays paid. Among the four states of one, the balance decides, by all that moved so far and whatever the
// order: a refund that fails and a dispute that is won bring the donation back to what it is.
//
//	went by refunds   is at a bank by disputes   state                the donor is told
//	nothing           nothing                    succeeded            received
//	a part            nothing                    partially_refunded   received
//	all               nothing                    refunded             given back
//	any               some                       disputed             given back, once both took all of it; else received
//
// From an unpaid end there is still a way to succeeded, since Stripe's word that money arrived beats every
// word that it would not. From expired there is one to pending, too: see below.
//
// # Starting a donation
//
// [Service.Create] stores the intent and commits, then creates the Checkout Session, outside of any
// transaction, under an idempotency key derived from the intent, its attempt and all parameters; then it
// stores the session. Whatever breaks in between, the same request id continues the same donation: an answer that
// was lost is fetched again under the same key, a failure that Stripe remembers is left behind by the next
// attempt. Of equal requests at once one has the turn to call Stripe, and two others wait for what comes of it in each
// copy of the program, while the rest is told to come again;
// after each failure a longer pause begins, in which nobody calls. So repeats, which nothing limits, cost Stripe
// nothing, and there is one session.
//
// A donor may cover the fee: what is stored, asked for and booked is the whole, computed once from the campaign's
// estimate, and the part added is kept beside it. The fee itself is Stripe's, and stands in the books.
//
// # Pages that close
//
// A page that closes unpaid can be opened again: Stripe is asked for a recovery URL, and whoever knows the donation gets
// it for 30 days, while the campaign takes donations. Each visit there makes another session, a copy whose
// recovered_from is the one that expired, by which it finds its donation. The
// donation remembers the last that was paid or is under way, so that Stripe can be asked about the right one. Two of them
// can be paid: the books have both, and the donation is received until both are given back or disputed. The one that was
// booked first is the donation's own, and the table payments has what else is to be known of each (payments.go). Monthly
// donations have no recovery: Stripe has it in payment mode only.
//
// Trying cards costs whoever does it pages, of which a network gets few, whatever way they are asked for. A payment
// that is refused is counted in the transaction that finishes its event; after maxDeclines of them the page is
// closed, and each copy of it at its first refusal.
//
// # Whose a payment is
//
// Only a payment on the donation's own page, or on a copy of it, is the donation's, and only with the amount that the page asks
// for. Metadata and client_reference_id say where to look, since whoever may use the account can write them; a session
// whose id is known here proves it ([Service.Find], [Lookup], attribution.go). What claims to be a donation's and is not is
// booked to nobody, members are told, and the donation stays as it is ([Service.RefuseTx]).
//
// # What became of it
//
// Events, sync and a donor who waits all end in two functions: [Service.ApplySessionTx] for what a session
// says, [Service.BookTx] for what Stripe's balance says. Both lock the donation, do nothing the second time, and
// run in the caller's transaction, so that a donation is booked in the same one as its ledger transaction.
//
// Donations that nothing was heard of after their page's end are looked up by upkeep, more and more rarely, and a debit that
// is under way from its second day on (overdue.go): all that are due are read by the pages of Stripe's list.
//
// # Giving back
//
// Who asks for a refund commits a row, and a job sends it, [Service.SubmitRefund]: it is noted as submitted before
// the call, and what may have reached Stripe is looked for by the row's id before it is sent again. Above the
// collective's amount, summed over the donation, a second member must approve, with a key that is older than the request. Keys
// of which one made the other are one member's (package access).
// How much is left is counted with the donation's row locked, of each payment by itself: a refund is of one payment, and of a
// donation that was paid twice of one besides its own, as long as that has enough left and is not disputed. Which one it is
// is told once, when it is asked for, and never changes. The states are in refund.go and in the database:
//
//	awaiting_approval --> approved --> submitted --> pending --> succeeded
//	        |                |            |             |           |
//	        +--> rejected    |            +-------------+-----------+--> failed, canceled
//	        +----------------+--> canceled
//
// A bank can take a SEPA debit back as well, for eight weeks without a reason and for thirteen months as not authorised:
// who asks for the refund of one must say that this is known, and is told until when. What goes back both ways is a loss,
// of which members are told by a notice of its own; a campaign's progress counts such a donation as nothing.
//
// A refund that succeeded can still fail. Refunds that were made in Stripe's dashboard get rows too; what is known
// of any refund, dispute or fraud warning is read again at Stripe by its id, [Service.ReadRefund],
// [Service.ReadDispute], [Service.ReadFraudWarning], after an event, when the balance moved for it, and on a timer
// while it can change. They tell members and decide nothing about money: a donation's state and the books follow the
// balance alone. Of a dispute, sums of money that moved tell which reading is the later one, and then its status:
//
//	warning_needs_response --> warning_under_review --> warning_closed   an inquiry: no money moves
//	             |                       |                   |
//	             +-----------------------+-------------------+--> needs_response --> under_review --> lost --> won
//	prevented: it ended before it began: no money moves, nothing is to be answered
//
// Money can come back while it is under review or lost; the donation counts again then, and the dispute keeps its status.
//
// Stripe takes a refund's amount for one in the payment's currency: what was paid in its donor's own
// currency is given back in that, and how much of the donation it is, is told by what was paid, since Stripe converts it at
// the rate of the day.
//
// # Monthly donations
//
// A monthly donation is a [Recurring]: a subscription at Stripe, and a row here under the id of its first donation. Each
// paid invoice is a [Donation] of its own. Its states, its invariants and how a pending change is applied stand at
// [Recurring]; the files are recurring*.go.
//
// # Neighbours
//
// It imports campaigns, collectives and ledger, for what may be given to whom, whom to tell, and what is settled.
// Webhooks imports it. It does not know webhooks: the jobs that ask Stripe for a waiting donor, send refunds and keep
// monthly donations are its own. It serves four proto packages: donations, recurring, refunds and disputes.
package donations
