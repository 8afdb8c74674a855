// Package exports writes the books as files that accountants take.
//
// # What it owns
//
// It owns no data. It streams a collective's share of the ledger one row at a time, so memory stays flat whatever the
// size. One reader, [ledger.View.StreamEntries], feeds one writer for each format. [Formats] has them all; a new one is a
// file here and a line in the table of format.go. The call ExportLedger and the command `cagnotte export` both end in
// [Service.Export], so they give the same bytes. Three formats are not lists of entries: the payouts, the proof, which
// `cagnotte ledger verify` verifies, and the notice that goes with a FEC.
//
// # What is always true
//
//   - No format has a donor's name; the ledger does not know it. Donations are named by their opaque ids.
//   - The same content gives the same bytes: nothing in a file depends on when or where it was made. A [Header] names the
//     version of the content: the snapshot of the database that it was read from, which no later commit can change, and a
//     digest of everything else that the bytes depend on. A download that broke off continues with the version and an
//     offset; over REST that is Range with If-Range. It costs as much as making the whole file twice, since HTTP wants the
//     size first.
//   - A file that breaks off ends in an error.
//
// # Readers
//
// An export holds a connection to the database while its reader reads. So there are places, six in all and two for one
// collective or book, and a slowest speed ([Pace]): a slower reader is cut off, and can continue from there. Both are of
// one process; they protect it and its connections.
//
// # Days and order
//
// Days are those of the collective's time zone. Entries come in the order of effective time, transaction and line; in the
// FEC, in the order in which books are sealed. Entries can be back-dated, so a span of days can still grow: without a
// version, export such a span again as a whole.
//
// # Neighbours
//
// Imports ledger and payouts, which it reads, and collectives, for the time zone and the book.
package exports
