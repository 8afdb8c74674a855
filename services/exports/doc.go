// Package exports writes the books as files that accountants take.
//
// It owns no data: it streams a collective's share of the ledger, one row at a time, so memory
// stays flat whatever the size. The call ExportLedger and the command cagnotte export both end in
// [Service.Write], and so give the same bytes. The same content gives the same bytes, always: the
// order is that of effective time, transaction and line, and nothing in a file depends on when or
// where it was made. No format holds a donor's name; the ledger does not know it.
//
// Days are those of the collective's time zone. What is effective within a span of days can still
// grow, because entries can be back-dated: export a span again as a whole.
//
// Imports ledger, which it reads, and collectives, for the time zone.
package exports
