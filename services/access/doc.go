// Package access answers two questions: who is calling, and may they.
//
// Who: a caller sends an API key, `cag_<id>_<secret>`. The id finds the row, the
// secret is compared by its SHA-256 in constant time. The secret holds 32 random
// bytes, so a plain hash is enough: there is nothing to guess, and a slow hash
// would only cost every call. A key is shown once, named for people, revocable
// for ever, and remembers to the minute when it was last used. Keys belong to one
// collective (owner, editor, treasurer, auditor) or to the instance (operator).
//
// A key remembers which key made it. Keys of which one made the other, directly or through others, are one member's
// ([Key.Member]), whatever is revoked later; a key that the operator or the command line made begins a member of its own.
// So the holder of one key cannot be a second member by making another. Who made a key is told to who may list keys, and
// the names of the operator's keys to the operator alone. Others are told of each key that is made or revoked, in the same
// transaction (Config.TellTx). What a key decides that must not stand when it was revoked meanwhile holds it ([HoldTx]).
//
// May they: [Authorize] reads the one permission table, in table.go. It is the
// only place where rights are decided; a method without a row cannot be called.
// The collective is taken from the request itself, by the field that the row
// names, before anything is validated or looked up. Whoever has no right gets the
// same NOT_FOUND as for what does not exist; whoever shows no key gets
// UNAUTHENTICATED, because that answer depends on the method alone.
//
// The table is finer than a role in two places, and there the server concerned
// decides on its own: which collectives ListCollectives lists, and that only the
// operator changes a collective's Stripe account.
//
// The operator runs the instance: collectives, all keys, webhook events. For
// support it reads everything too, since donors' identities are not kept. It does
// not write campaigns: who must can create a key of the collective, which its
// owners then see in their list.
//
// Access imports no sibling. Its neighbours are services/internal/rpc, which
// calls [Service.Authenticate] and [Authorize] around every RPC and hands the
// principal on with [WithPrincipal], and services/internal/app. In the database
// its keys refer to collectives.collectives.
package access
