// Package bank owns bank statements, their lines, and what each line shows in the books.
//
// A file is read by package bank/statement, which knows no database. Its lines are stored here, and matched: with a payout
// of Stripe, a deposit of cheques, a donation, a pledge, an expense, a top-up of the Stripe balance, or as an unknown
// receipt.
//
//	state of a line   next        by
//	unmatched         suggested   the matcher, when a movement in the books or a pledge may be what it shows
//	unmatched         matched     the matcher, when there is no other answer; a member
//	suggested         matched     a member
//	suggested         unmatched   the matcher, when another line shows it
//	unmatched         ignored     a member; so from suggested
//	unmatched         split       a member, into parts; so from suggested
//	matched, ignored  unmatched   a member; so from split, and its parts are withdrawn
//
// A part is a line with the line's day and account, and with the states above but for split. It is only suggested, as a line
// that was unmatched.
//
// # What a match books
//
//	pledge, campaign   an offline donation of the line's amount, by the treasury
//	expense            a payment, in full or an instalment, by the treasury
//	unknown receipt    512 to 4718, to be classified later
//	top-up             512 to 580: the bank's side of what Stripe reports
//	transaction        nothing: it is in the books
//
// The matcher books by itself only the donation of a line that names a pledge in its amount, and matches by itself only
// payouts and deposits that no other line may show. Everything else it suggests.
//
// # Invariants
//
//   - A line is stored once, whatever files it is in, and a movement in the books is matched with one line at most.
//   - A line and what its match books commit together. Unmatching reverses what the match booked, and nothing else.
//   - Open lines are compared again whenever the bank account moves in the books ([Service.Recognise]), and every hour,
//     because a program can die in between.
//   - A line that a member unmatched is only suggested from then on. So is one that may show a donation which a member
//     entered without its pledge.
//   - The imports, matches and reversals of one collective come one after the other (treasury.LockBankTx).
//   - No name, account or text of a payer is stored. A line has its day, its amount, the bank's reference when that cannot
//     be a name, the pledge and the owed expenses that its text names, and a keyed hash that recognises it in another file.
//     A preview answers the texts of the file to who sent it, and stores nothing.
//   - The parts of a split line add up to it. The database checks it when the transaction ends.
//   - Movements of files of two formats, or of CSV files with other columns, have other hashes. So a file of another form
//     is refused on days that have lines.
//
// # What it does not do
//
// A line is matched for one collective. Where collectives share a bank account, each ignores the lines of the others, and
// a payout that was divided among them, with that reason; [BankPosition] tells their sum.
//
// # Neighbours
//
// It imports treasury, campaigns, collectives, ledger and notices. Treasury and payouts call Recognise after a booking,
// through a function that app hands them, because they may not import bank.
package bank
