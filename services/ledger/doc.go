// Package ledger keeps the books: double entry, insert-only, one book for each Stripe account.
//
// # What it owns
//
// The schema ledger. A book has a chart of accounts, which is data: the files in charts/, loaded
// when the book is made. Code never says an account's number; it says a role, such as
// [RoleDonations], and the book says which account plays it. A transaction has a reference that is
// unique in its book, the business fact that it records (a balance transaction of Stripe's), and
// entries: signed amounts in minor units, debit positive, each with its dimensions collective,
// campaign and donation.
//
// # What is always true
//
// The database itself refuses what would break these, for the owner as for the service:
//
//   - The entries of a transaction sum to zero in each currency, for each collective: so the share
//     that one collective sees of its host's book balances too.
//   - A transaction is complete when its statement ends; nothing is added to it, changed or
//     removed afterwards. A correction is another transaction.
//   - A reference stands for one content. Posting it again with the same content changes nothing
//     and says so; with another content it fails, and so does everything posted beside it.
//
// Two clocks are kept: when it happened (effective) and when it was written (recorded). Neither
// is an order of writing, and nor is the transaction's id: identities become visible out of order.
// Each transaction carries the id of the database transaction that wrote it, so that a sealer can
// tell what no late commit can join any more.
//
// # Posting takes no lock
//
// [Service.PostTx] only inserts, in one round trip for any number of transactions; it reads
// accounts and locks none. Two posters wait for one another only when both post the same reference.
//
// # Where the time goes
//
// A donation posted by itself takes the server about 310 µs of processor time; the same rows, raw, take 130 with keys alone and
// 145 with all indexes. The checks are 70 to 110 of the difference, a third of that for having transition tables at all; the
// rest is the start of one statement that does everything. By hundreds a donation takes 52 µs, against 18 and 28. In the program
// the sync is what gathers, up to a hundred at a time, so there is no second gatherer here. Sealing takes 41 µs.
//
// A donation writes 2.2 kB of WAL, half of it its 13 index entries; after each checkpoint of Postgres about 1 kB more for a while,
// because references come in no order and so touch every page of their index.
//
// Tried without gain: forced generic plans (it has them anyway), the tables' own rules moved into the triggers, and
// check functions without settings of their own, whose plans turn to reading whole tables.
//
// Tried, and too little for what it wants: one plpgsql function that takes lists, makes lines, times and natures itself,
// and whose role alone inserts without the checks, which others meet for each row. Server and caller together it saves
// about a sixth, on the server 300 to 245 µs of a donation by itself and 60 to 49 of one in a hundred. It wants
// a second role, a column beside the names of roles, and dumps restored with their owners, or nothing can be
// posted any more. Of its 245, 65 are three round trips and entering it, 70 the transaction and its commit,
// 60 the entries, 25 finding accounts and what is closed, and the rest walking the lists. For a donation by itself, domains,
// CHECKs, ON CONFLICT and triggers that a condition keeps silent cost nothing that can be measured; joining in
// the look-up costs 15, and rows from generate_series 80, since their statement is planned anew each time.
//
// Only reckoned: BEGIN sent with the first statement would spare one round trip of three, 17 µs here and somewhat more in
// the caller, but pgx would need a transaction of our own making, and no caller posts without writing more beside.
// One row of entries_time_idx for each share instead of each entry would spare 5 of those in a hundred, and make
// each reader by time join.
//
// # Sealing comes after
//
// A sealer, one at a time for a book, gives transactions their numbers in the order of (xid, id), as
// soon as no running database transaction can come before them. It hashes each with its number
// into a Merkle tree (RFC 6962), signs a checkpoint that a consistency proof ties to the one before, and
// keeps balances: per account, collective, campaign and currency, for all of time and for each year, month
// and day of effective time. So a balance is stored sums and a short tail, as of any time, and a
// back-dated entry falsifies none. [Service.Verify] recomputes all of it from the rows.
//
// A position is an xid, which belongs to a cluster: a dump restored into another one needs its counter
// raised first, and [Service.Seal] refuses until it is.
//
// A leaf commits to each collective's entries apart, under a salt that only the sealer's tables know: so a collective's
// amounts are proven without those of the others, and nobody can guess these. Each checkpoint also signs how many
// transactions each collective has, by the root of a second tree: so it is proven that none of them is missing.
//
// A closed period ([Service.ClosePeriod]) is one collective's share of a book, or all of it. Late facts of
// it are posted at [Service.ClosedUntil].
//
// # Corrections, and what explains
//
// [Service.ReverseTx] takes a transaction back by another one that is linked to it, never by more than is
// left. Whoever posted it asks for that. A bookkeeper corrects what Stripe reported by [Service.ReclassifyTx], which moves
// amounts between income, expense and what is unexplained, and never touches money or a donation. What Stripe converted keeps its rate and original amount beside it ([Conversion]): they are summed by nobody,
// and are outside what is hashed. A chart can be its book's own: accounts are added at any time, and roles
// move until the book has its first transaction.
//
// # Reading
//
// Balances are by account, campaign and currency; as of what had happened, or of a number. There are none as of a time
// of writing, since those times are in no order: the books as somebody found them are those of a number. A [Statement] keeps
// to a number, so its pages are of one whole. [VerifyArchive] checks without a database what [Service.WriteArchive] writes of a book, or [View.WriteShare]
// of one collective's share, where hashes of subtrees stand for what the others posted.
//
// A share is a collective's; what belongs to none, such as Stripe's own fees for the account, is read under the book's
// name ([Service.FindBook]) and is the operator's. Each share balances, and together they are the book.
//
// # Neighbours
//
// Imports no sibling. Webhooks, payouts and treasury post in their own database transactions, and donations reads what
// is settled; exports reads with [Service.View]. Which book a collective's money is in, the program tells
// [NewServer].
package ledger
