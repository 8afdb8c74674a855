// Package collectives owns the groups that raise money: their settings, their Stripe accounts, and what their members
// must be told.
//
// A collective's id is its slug: it stands in public addresses, never changes, and
// is what the tables of all services refer to. Collectives are not deleted, since
// the books speak of them.
//
// # The Stripe account
//
// Donations go to the platform's own account, written as the empty string, or to a connected one. One
// account is one book of the ledger, so the account may change only while no donation
// was started: afterwards money would arrive in one book and be asked back from
// another. The rule is kept by one column, account_in_use, and a trigger that
// refuses to change the account once it is set.
//
// Whoever makes a donation therefore calls [Service.MarkInUseTx] in the transaction that
// inserts it, and uses the account that it returns, never one read before:
//
//	account, err := collectives.MarkInUseTx(ctx, tx, name.Collective)
//
// The first donation locks the row until it commits, and waits for an operator who is
// changing the account at that moment; every later donation only reads. It is safe to
// call for each donation.
//
// # Connected accounts
//
// A collective gets a Standard account of its own by [Service.StartOnboarding]: the intent is stored, the account is
// made at Stripe under a key of that row, and becomes the collective's; whoever fills in Stripe's form gets there by a
// link that only a member with a key is given. What the account may do is read, never taken from an event:
// [Service.ReadAccount] is called when an event names it, when somebody looks at one that is not ready, and once a
// day. Of two readings the one that began later holds.
//
// An account can be disconnected at Stripe. [Service.SetConnectedTx] notes it, by an event or a reading: until it is
// connected again no donation is taken for its collectives, and nothing of it is read; its books stay. Whoever tells
// Stripe something for a collective asks [Service.CheckConnected] before, and who takes donations
// [Service.CheckTakesDonations]: an account from which Stripe wants papers takes none, and gives back.
//
// The platform's own account is for the operator's own collectives: other people's money must not stand on it. Only
// the operator knows which these are, so a collective that is not its own is created with OwnAccountRequired, and
// takes no donation on the platform's account, nor any other money in its book: [Service.MarkInUseTx] refuses it. That is
// not the default, since it would stop the operator's own.
//
// # Notices
//
// What members must know is told by [Service.TellTx], in the transaction of what happened: once by collective, kind
// and key. It is listed to those who may see the money, and mailed to the collective's alert addresses, each by a job
// of its own, so that one bad address keeps no other from its mail; package mail says what is promised. A kind is a
// constant with texts in notices.fr.json and notices.en.json. No notice holds who gave. The operator's own notices,
// those of the collective "", are mailed to CAGNOTTE_ALERT_EMAILS in English.
//
// What guards the money is told when a member changes it: the refund limit, the alert addresses, the bank account, the
// details for cheques, the Stripe account, links into its onboarding, keys (change.go). Such a notice says who, by the
// key's label and name, and from what to what, shortened. It is mailed to the addresses of before the change and of
// after it, and to the operator: who steals a key would change them all. Who changed something does not acknowledge the
// notice while another member can.
//
// # The platform
//
// Whose account the platform's own is, and whether its money is real, stands in one row since
// the program first ran: [Service.BindPlatform] refuses the key of another.
//
// # Neighbours
//
// Everybody but access and ledger may import it. It knows access, for the rights that are
// finer than a role: a member lists its own collective only, the Stripe account is the operator's
// to change, and alert addresses are for owners to see. It serves three proto packages:
// collectives, notices and connect. It knows no campaign and no donation.
package collectives
