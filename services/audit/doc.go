// Package audit keeps the audit log: who changed what.
//
// # What it owns
//
// The schema audit. Each RPC with which a member or the operator changes something leaves exactly one [Entry], which
// [WriteTx] writes in the database transaction of the change: who, by which session or key, by which method, on which
// resource, and which fields had which value before and after. A refusal leaves none, and neither does a repeat that
// changes nothing. So do the calls of donors, whose rows are the trace, and what the program does by itself. Signing in
// and accepting an invitation leave one.
//
//	an entry is  when
//	written      the transaction of its change committed
//	sealed       it has a number, its hash is in the tree, a checkpoint is signed ([Service.Seal], some seconds later)
//
// # What is always true
//
//   - The database refuses to change or remove an entry, even for the owner of its tables. The id, the time and the
//     transaction of an entry are the database's own: the service cannot choose them.
//   - No entry names a donor or holds a secret. The fields of [Change] have values that all bookkeepers may read: a service
//     shows an IBAN by its ends, leaves out what a donor wrote, and names bank lines without their text.
//   - Members do not see which of the operator's keys did something, only that the operator did.
//   - Numbers count from 1 over the whole instance, without a gap, in the order of writing. The tree (RFC 6962), the
//     checkpoints and their key are those of package proof, as for a book of the ledger named [Book]. So an entry that was
//     changed, removed or inserted in the past is found by [Service.Verify], which `cagnotte ledger verify` and the
//     operator's verification run.
//   - Texts are bounded: a long one is shortened to what differs ([WriteTx]).
//
// # Who reads
//
// Owners, treasurers and auditors of the collective, and the operator. Editors do not: entries tell bank accounts, refunds
// and expenses, which editors do not read either.
//
// # Neighbours
//
// It imports access, for the caller, and ledger/proof, which hashes and signs. Services write entries; access gets a
// function for it. The server lists and exports them, page by page, without holding a connection to the database.
package audit
