// Package exports writes the books as files that accountants take.
//
// It owns no data: it streams a collective's share of the ledger, one row at a time, so memory
// stays flat whatever the size. One reader, [ledger.View.StreamEntries], feeds one writer for each
// format; [Formats] has them all, and a new one is a file here and a line in the table of format.go. The
// call ExportLedger and the command cagnotte export both end in [Service.Export], and so give the same bytes.
// No format holds a donor's name; the ledger does not know it. Donations are named by their opaque ids. Some formats are no
// list of entries: payouts, line by line of the bank's statement; the proof, which anybody can check without us; and
// the notice that goes with a FEC.
//
// # The same content gives the same bytes
//
// Nothing in a file depends on when or where it was made. Its [Header] names the version of the content: the
// snapshot of the database that it was read from, which no later commit can change, and a digest of what else
// the bytes depend on. A download that broke off goes on with the version and an offset; over REST that is
// Range with If-Range. Making the rest costs as much as making the whole twice, since HTTP wants its
// size told first.
//
// # Readers
//
// An export holds a connection to the database while its reader reads. So there are places, six in all and two for one
// collective or book, and a slowest speed: who reads slower is cut off, and goes on from there (exports.go, pace.go).
// Both are of one process; they protect it and its connections.
//
// # Days and order
//
// Days are those of the collective's time zone. Entries come in the order of effective time, transaction and
// line; in the FEC, in the order in which books are sealed. What is effective within a span of days can
// still grow, because entries can be back-dated: without a version, export a span again as a whole.
//
// # Neighbours
//
// Imports ledger and payouts, which it reads, and collectives, for the time zone and the book.
package exports
