// Package collectives owns the groups that raise money and what their members decide for them.
//
// A collective's id is its slug. It stands in public addresses, never changes, and is what the tables of all services
// refer to. Collectives are not deleted, because the books refer to them.
//
// # The Stripe account
//
// Donations go to the platform's own account, written as the empty string, or to a connected one. One account is one
// book of the ledger. The account can therefore change only until the first donation: later it would receive money in
// one book and refund it from another. The column account_in_use and a trigger keep this rule.
//
//	account_in_use  set by                      the account
//	false           -                           can change
//	true            [Service.MarkInUseTx]       is fixed
//
// Whoever makes a donation calls [Service.MarkInUseTx] in the transaction that inserts it, and uses the account that it
// returns, never one that was read before:
//
//	account, err := collectives.MarkInUseTx(ctx, tx, name.Collective)
//
// The first donation locks the row until it commits, and waits for an operator who is changing the account at that
// moment. Every later donation only reads.
//
// The platform's account is for the operator's own collectives. A collective of somebody else is created with
// OwnAccountRequired: MarkInUseTx refuses it until it has a connected account. That is not the default, because it
// would stop the operator's own collectives.
//
// [Service.Owners] tells whose a movement on an account is when it belongs to no donation, such as a fee.
//
// # Settings
//
// [Settings] that guard money are told to members and to the operator when they change; see package notices.
//
// # Opening and suspension
//
// The operator creates each collective, or somebody applies for one ([Opening], [Application]):
//
//	application  until
//	waiting      the operator approves it, or rejects it with a reason; where collectives are open to all, at once
//	approved     for ever: the collective exists, not the operator's own, and the applicant is invited as its owner
//	rejected     for ever: the reason was mailed
//
// A suspended collective ([Service.Suspend]) takes no donation and no pledge: campaigns read the suspension. Upkeep of
// donations closes its open pages and has Stripe charge none of its monthly donations. Its members do all else.
//
// # Profile
//
// [Profile] is what a collective tells the public about itself. It has an etag of its own, and is public once a campaign was
// published.
//
// # Neighbours
//
// It imports notices and access: a member lists its own collective only, the Stripe account is the operator's to
// change, and alert addresses are for owners to see. All services but access, notices and ledger may import it. Package
// connect owns what an account may do at Stripe. It knows no campaign and no donation.
package collectives
