// Package notices owns what the members of a collective, or the operator, must know.
//
// Whoever finds out calls [Service.TellTx] in the transaction of what happened. A notice is stored once by collective,
// kind and key, however often it is told. It is listed to those who may see the money, and mailed to the collective's
// alert addresses, each by a job of its own: an address that fails does not hold up the others. Package mail says what
// is promised of a mail. The notices of no collective are the operator's, and are mailed to CAGNOTTE_ALERT_EMAILS in
// English.
//
//	state         until
//	open          a member acknowledges it
//	acknowledged  for ever; the first acknowledgement stays
//
// A kind is a constant in kind.go, with a subject and a text in texts.fr.json and texts.en.json.
//
// # Changed settings
//
// Settings that guard money are told when somebody changes them: the refund limit, the alert addresses, the bank
// account, the details for cheques, the Stripe account, links into its onboarding, and API keys. Such a notice has a
// [Change], which says who changed what, shortened. It is mailed to the addresses of before the change and of after it,
// and to the operator, since a thief of a key would change the addresses too. Who made a change cannot acknowledge its
// notice while another member can.
//
// # Invariants
//
//   - A notice names no donor.
//   - A notice and its mails are committed with what they are about, or not at all.
//   - Rows are never deleted, and change once, when they are acknowledged.
//
// # Neighbours
//
// All services that have something to tell import it. It knows access, for the rights that are finer than a role. Of a
// collective it reads only name, language, time zone and addresses, in SQL, because collectives imports it.
package notices
