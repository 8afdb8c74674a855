// Package collectives owns the groups that raise money, and their settings.
//
// A collective's id is its slug: it stands in public addresses, never changes, and
// is what the tables of all services refer to. Collectives are not deleted, since
// the books speak of them.
//
// # The Stripe account
//
// Gifts go to the platform's own account, written as the empty string, or to a connected one. One
// account is one book of the ledger, so the account may change only while no gift
// was started: afterwards money would arrive in one book and be asked back from
// another. The rule is kept by one column, account_in_use, and a trigger that
// refuses to change the account once it is set.
//
// Whoever makes a gift therefore calls [Service.MarkInUseTx] in the transaction that
// inserts it, and uses the account that it returns, never one read before:
//
//	account, err := collectives.MarkInUseTx(ctx, tx, name.Collective)
//
// The first gift locks the row until it commits, and waits for an operator who is
// changing the account at that moment; every later gift only reads. It is safe to
// call for each gift.
//
// A connected account can be disconnected at Stripe. [Service.SetConnectedTx] notes it: until it is connected
// again no gift is taken for its collectives, and nothing of it is read.
//
// Whose account the platform's own is, and whether its money is real, stands in one row since
// the program first ran: [Service.BindPlatform] refuses the key of another.
//
// # Neighbours
//
// Everybody but access and ledger may import it. It knows access, for the two rights
// that are finer than a role: a member lists its own collective only, and the
// Stripe account is the operator's to change. It knows no campaign and no gift.
package collectives
