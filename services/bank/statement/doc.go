// Package statement reads the files in which banks report the movements of an account.
//
// It is pure: bytes in, movements out. It opens no database, knows no collective, and imports neither Postgres nor
// the ledger; a test in services keeps this true. Bank stores what is read here and finds out what it means.
//
// # Formats
//
//	CAMT.053   ISO 20022, from version 02 on         camt.go
//	OFX        versions 1 and 2                      ofx.go
//	CFONB 120  of French banks                       cfonb.go
//	MT940      of SWIFT                              mt940.go
//	QIF        of Quicken                            qif.go
//	CSV        in the form that a CSVFormat tells    csv.go, csvwords.go
//	XLSX, ZIP  unpacked first                        unpack.go, workbook.go
//
// A format is one file with one function that returns Contents; [Read] chooses it, and account.go the account that is meant.
// format.go recognises them. [Detect] finds out which one a file has
// and, of a CSV file, makes the CSVFormat by titles and contents (detect.go, detect*.go). A [Problem] says for people why a file is refused.
//
// # Invariants
//
//   - A file that is not understood is refused. It is never read in part, and never guessed at where two readings
//     differ in money.
//   - When a file has an opening and a closing balance, its movements add up to their difference.
//   - Every movement has a day and an amount that is not zero, in the currency of its account.
//   - An error names a place in the file and never quotes it: the text may be about a payer.
//   - What payers wrote is in [Movement.Text] alone. It lives in memory and must not be stored.
//     [Movement.StoredReference] is the part of the bank's reference that cannot be a person's name.
//   - A hostile file costs a small multiple of its size in memory, and 10,000 movements at most (limits_test.go).
package statement
