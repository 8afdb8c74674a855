// Package overview owns what members see of their collective at one look: the list of all that was given, what happened to
// one donation, sums over time, and the home with what needs somebody. It writes nothing.
//
// # What it owns
//
// The schema overview. Triggers of the tables of donations, treasury and ledger entries write it, in the transaction of each change; the
// service's role may only read it. So it follows every change, whatever changed the row and in whatever order Stripe's
// events came.
//
//	table          a row is
//	contributions  a donation, an offline donation, or a pledge that is not fulfilled
//	states         a state that a contribution came into, with its time
//	days           what was received of the donations of one day, campaign, method and currency
//	recurring      what counts of a monthly donation
//	months         how many monthly donations began and ended in a month, and what they are expected to bring
//
// # Contributions
//
//	kind      id of              replaced by
//	donation  a donation
//	offline   an offline donation
//	entry     an entry of the books without a donation, such as a receipt that was reclassified to a campaign
//	pledge    a pledge           its offline donation, until that bounces or is reversed
//
// The day of a contribution is that of its creation in the collective's time zone, and for an offline donation the day on
// which it was received; that of an entry is the day for which it was posted. It never changes, so neither do pages of the
// list nor the day that a sum belongs to.
//
// # Invariants
//
//   - A row of days is the sum of its contributions, and a row of months that of its monthly donations. Triggers subtract
//     what a row was and add what it is. A property test compares them with the donations after random histories.
//   - A contribution counts once it is in the books: its amount less what went back, never below zero; an entry counts as it
//     is, and may take from its campaign. So the days of a campaign sum to what its public page says it raised, to the cent: a
//     test of random histories compares them.
//   - No page reads more than it answers but a bounded part: lists continue behind a key of an index, sums read days and
//     months, and counts stop at 100.
//   - Donors are not in it. To an editor it shows neither papers nor Stripe's events, refunds, disputes and books.
//
// # Locks
//
// Only money that is booked touches a row of days: the one job of a Stripe account, and what treasurers enter. A statement
// locks such rows in the order of their keys.
//
// # Neighbours
//
// It imports access, campaigns and collectives, and reads the tables of donations, refunds, payouts, treasury, bank, ledger,
// webhooks, connect, approvals and notices in SQL. Nothing imports it.
package overview
