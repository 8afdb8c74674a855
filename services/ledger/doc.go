// Package ledger keeps the books: double entry, insert-only, one book for each Stripe account.
//
// # What it owns
//
// The schema ledger. A book has a chart of accounts, which is data: the files in charts/ are loaded when the book is
// made, and accounts can be added later. Code names no account by its number. It names a role, such as [RoleDonations],
// and the book says which account has it. A transaction has a reference that is unique in its book, such as the id of a
// balance transaction of Stripe's, and entries: signed amounts in minor units, debit positive, each with its collective,
// campaign and donation. The entries of one collective are its share; what belongs to none is the operator's.
//
//	a transaction is   when
//	posted             its database transaction committed ([Service.PostTx])
//	sealed             it has a number, its hash is in the tree, a checkpoint is signed ([Service.Seal])
//	closed             its period is closed: nothing more can be posted there ([Service.ClosePeriod])
//	corrected          another one reverses ([Service.ReverseTx]) or reclassifies ([Service.ReclassifyTx]) a part of it
//
// # What is always true
//
// The database refuses what would break these, even for the owner of its tables:
//
//   - The entries of a transaction sum to zero for each currency and collective. So each share balances by itself.
//   - A transaction is complete when its statement ends. Nothing is added to it, changed or removed afterwards.
//   - A reference stands for one content. Posting the same again changes nothing and says so; another content fails.
//   - Corrections reverse no more than a transaction has. Reclassifications move neither money nor donations.
//   - Numbers have no gap and never change.
//
// # Times and order
//
// A transaction has the time when it happened (effective) and the time when it was written (recorded). Neither is the
// order of writing, nor is its id, since transactions can become visible out of order. The order is (xid, id): xid is the
// id of the database transaction, and a sealer waits until none that is running can come before. An xid belongs to a
// cluster: in a restored dump [Service.CheckCounter] refuses until the counter is raised.
//
// Posting only inserts, in one round trip for any number of transactions, and locks nothing: two posters wait for one
// another only when both post the same reference. One sealer at a time works on a book. It also stores balances per
// account, collective, campaign and currency, for all of time and for each year, month and day. A balance is the stored
// sums and a short tail of entries; a back-dated entry falsifies none.
//
// # Reading
//
// Balances are read before a time or at a number ([AccountsFilter]); a [Statement] and its next pages keep to a number.
// A [View] is one snapshot, which a later view can show again. [Service.WriteArchive] writes a book and
// [View.WriteShare] a share; package proof verifies both without a database, and [Service.Verify] the database itself.
//
// # Neighbours
//
// It imports no sibling; its own package proof hashes, signs and verifies. Webhooks, payouts and treasury post in their
// own database transactions, exports and donations read. The program tells [NewServer] which book a collective has.
// What costs how much, and what was tried, is in deploy/benchmarks.md.
package ledger
