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
