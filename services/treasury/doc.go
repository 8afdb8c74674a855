// Package treasury keeps what a treasurer enters by hand: donations that did not come through Stripe, pledges of
// such donations, bank statements, and expenses.
//
// The design counts offline donations among the donations. They are here because nothing of a Checkout Session
// is true of them: they are facts on paper that a member enters, and they are compared with the bank
// and not with Stripe. What they share with other donations is the ledger.
//
// # What it owns
//
// The schema treasury. Money facts never change: a mistake is taken back by a reversal in the books, and
// the row says so. States move as drawn here, and the database refuses any other step.
//
//	offline donation   received --> banked (cheques) --> bounced        received, banked --> reversed
//	expense        owed <--> paid        owed, paid --> reversed        (paid in part, it is owed)
//	bank line      unmatched <--> suggested --> matched, ignored --> unmatched
//	pledge         open, fulfilled, expired: told by its donation and by the time, and stored nowhere
//
// # What is always true
//
//   - What is written here and what is posted for it commit together. References in the books are made of the
//     row's id, so a donation is booked once whatever happens.
//   - An offline donation is the donation of its own id in the books: progress, proofs and exports need
//     nothing else to count it. A pledge is no money and counts nowhere.
//   - A bank line is stored once, whatever files it is in, and one movement in the books is one line.
//   - Lines are looked at again whenever the bank account moves in the books, payouts included, and every hour, since
//     a program can die in between. What a member took back is only suggested from then on: no file books it a second
//     time. Nor does one book what may be a donation that a member entered without its pledge.
//   - A transfer that is entered by hand, or a slip, although a line like it was booked is refused, until the member says
//     that it is another one.
//   - Stripe tells its own side alone of a top-up of its balance: the line that shows it books the bank's side, when a
//     member says so (topup.go).
//   - What is booked here is reversed here alone; the ledger refuses it (References).
//   - Who did something twice under one request id did it once (request.go).
//
// # What is booked
//
// The accounts are roles of the book's chart; the table is that of the French association charts.
//
//	cash, transfer             530, 512          to 75411
//	cheque received            5112              to 75411    then banked: 512 to 5112
//	cheque bounced             both reversed
//	cheque to the lawyer       6226              to 75411    or outside the books, and then counted nowhere
//	invoice                    6226, 6227, other to 512, 530, or 401 when it is owed
//	invoice paid later         401               to 512, 530, at once or in instalments
//	unknown receipt            512               to 4718
//
// Whether a cheque written to the lawyer belongs in the books is for the accountant to say. In them it is
// a donation and an expense at once; then the lawyer's invoice is entered for the rest alone.
//
// A day becomes the moment at which it begins in the collective's time zone.
//
// # Whom it does not know
//
// No donor. There is no column for a name, and of a bank statement neither names, nor accounts, nor the text that
// payers wrote are kept: a line has its day, amount, the bank's reference where that can be no name, the pledge that it names,
// and a keyed hash that recognises it in another file. The same movement in a CSV file and in a CAMT.053 file, or under
// other columns, does not hash alike: a file of another form is refused on days that have lines already.
//
// # What it does not do
//
// A line is matched to a collective's own share. Where collectives share a bank account, lines that are others', or a
// payout that was divided, are ignored with that reason, and the bank position shows their sum.
//
// # Neighbours
//
// It imports campaigns, collectives and ledger. Stripe's payouts it sees in the ledger only, as movements of the
// bank account. The limit on how often a network makes pledges is that of donations, and app hands it over.
package treasury
