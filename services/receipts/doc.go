// Package receipts issues tax receipts of donations: Cerfa 11580*05 for individuals, 16216*03 for companies.
//
// # What it owns
//
// The schema receipts: what owners declared about the bodies that issue, the public keys that donors' identities are sealed
// to, the numbers, and the receipts.
//
// # States
//
//	a declaration is  when
//	pending           an owner made it; a second person must approve it, always ([Service.Declare])
//	active            receipts are issued under it; one a collective ([Service.ApplyTx])
//	replaced          another one became active
//	withdrawn         an owner or treasurer ended it ([Service.Withdraw])
//	dropped           it was rejected or canceled, or expired ([Service.DropTx])
//
//	a receipt is  when
//	issued        it has its number and stands ([Service.Issue])
//	canceled      a member canceled it, or its donation went back ([Service.CancelReturnedTx], [Service.CancelLostTx])
//
// # Who gave
//
// A name and an address come with one call, are printed in the PDF of its answer, and are kept only sealed: age ciphertext
// to the keys of members, whose secret parts are not here. They are in no other column, and in no log, error, job or audit
// entry. What is stored to recognise a repeat of the call is hashed under the request's id, which is kept nowhere, so that
// nobody with the database can try names. The hash of a PDF is of the same kind: the PDF holds a code of that id.
//
// The identity is erased when its donor asks ([Service.Erase]), and by itself after the years that the declaration names
// ([Service.EraseExpired]). Number, day, amount and method stay: article 17(3)(b) of the GDPR.
//
// # Invariants
//
//   - Numbers of a collective and year go up from 1 without a gap, also when issues fail or meet: the counter's row is locked
//     from the number to the commit.
//   - A receipt is of a donation, of a year of a monthly donation, or of a pledge that arrived. A payment is on at most one
//     receipt that stands. Who issues holds its lock, as who books a refund does, so a receipt never stands for more than
//     what is left of it.
//   - A mail with a receipt is sent while its donor waits: no queue has the address.
//   - Members seal identities to other keys ([Service.Reseal]); what is inside, the service cannot check.
//   - A receipt and a declaration do not change: triggers let them only be canceled, ended and erased.
//   - A receipt is printed from the declaration that it was issued under, so the same request prints the same bytes.
//
// # Neighbours
//
// It imports donations for what was given, collectives for the time zone, approvals for the second person, notices and
// audit. Donations and refunds call CancelReturnedTx and CancelLostTx, which app hands them, in the transactions that book.
package receipts
