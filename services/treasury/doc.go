// Package treasury owns what a treasurer enters: donations that did not come through Stripe, deposits of cheques, pledges
// of such donations, and expenses.
//
// Offline donations are not in package donations because nothing of a Checkout Session is true of them: a member enters
// them from paper, and they are compared with the bank and not with Stripe.
//
//	what              states
//	offline donation  received -> banked (cheques) -> bounced; received, banked -> reversed
//	expense           owed <-> paid; owed, paid -> reversed. Paid in part, it is owed
//	pledge            open, fulfilled, expired: told by its donation and by the time, and stored nowhere
//	deposit           none
//	attachment        none: a file of an expense, kept as it is
//
// # What is booked
//
// The accounts are roles of the book's chart; the codes are those of the French association charts.
//
//	cash, transfer          530, 512      to 75411
//	cheque received         5112          to 75411   then banked: 512 to 5112
//	cheque bounced          both reversed
//	cheque to the lawyer    6226          to 75411   or outside the books, and then it counts nowhere
//	expense                 6226, 6227, other   to 512, 530, or 401 while it is owed
//	expense paid later      401           to 512, 530, at once or in instalments
//
// Whether a cheque that was written to the lawyer belongs in the books is for the accountant to decide. In the books it is a
// donation and an expense at once, and the lawyer's invoice is entered for the rest alone.
//
// # Invariants
//
//   - What is written here and what is posted for it commit together. References in the books are made of the row's id, so
//     that nothing is booked twice.
//   - What was entered does not change: a mistake is reversed. The database refuses any other step.
//   - An offline donation has the same id in the books, so progress, proofs and exports count it like any other. A pledge is
//     no money and counts nowhere.
//   - What is booked here is reversed by its own method here; the ledger's general reversal refuses it ([References]).
//   - What a line of a bank statement shows is reversed by unmatching the line. A transfer or a deposit is refused while a
//     line that looks like it is booked already, unless AllowDuplicate is set.
//   - A request that is sent twice under one id is done once ([Service.Once]).
//   - The public sees the expenses of a campaign that shows them, and of each neither payee nor document.
//   - No column holds a donor's name. An attachment is an invoice or a receipt, and is saved under a name made of its hash.
//   - Attachments are never changed or deleted: vouchers are kept for ten years. What they are, their first bytes tell.
//   - A day becomes the moment at which it begins in the collective's time zone.
//
// # Neighbours
//
// It imports campaigns, collectives and ledger. Package bank imports it and books through it what a line shows. Treasury
// does not know bank: after a booking it calls Config.Banked, and in the tables of the schema bank it reads which line
// shows what, and writes nothing. Stripe's payouts it sees only as movements in the ledger. The limit on how many pledges a
// network makes is that of donations; app hands it over.
package treasury
