// Package access answers two questions: who is calling, and may they do this.
//
// # Who is calling
//
// A caller sends an API key, `cag_<id>_<secret>`. The id finds the row. The SHA-256 of the secret is compared in constant
// time; the secret has 32 random bytes, so a slow hash would add nothing. A key belongs to one collective (owner, editor,
// treasurer, auditor) or to the instance (operator).
//
//	state     the key         how it gets there
//	working   works           created; its secret is shown once, in the answer
//	revoked   never works     revoked by an owner or the operator; there is no way back
//
// A key remembers the key that made it. Keys of which one made the other, directly or through others, belong to one
// member ([Key.Member]), even when some of them are revoked. A key that the operator or the command line made begins a new
// member. So the holder of one key cannot become a second member by making another key.
//
// # May they
//
// [Authorize] reads the permission table in table.go. It is the only place where rights are decided, and a method without
// a row cannot be called. The row names the field of the request that names the resource; the collective is read from
// there, before anything is validated or looked up. A caller without the right gets the same NOT_FOUND as for a resource
// that does not exist. A caller without a key gets UNAUTHENTICATED where a key is needed.
//
// Two rights are finer than a role and are decided by the services: which collectives ListCollectives answers, and that
// only the operator changes the Stripe account of a collective. The operator reads everything, and does not write
// campaigns.
//
// # Invariants
//
//   - A secret is never stored and never shown a second time.
//   - The other members of a collective are told of each key that is made or revoked, in the same transaction
//     (Config.TellTx).
//   - The maker of a key is shown to those who may list keys. The names of the operator's keys are shown to the operator
//     only.
//   - A decision of a key counts only while the key works: the transaction that writes the decision holds the key ([HoldTx]).
//
// # Neighbours
//
// The package imports no other service. services/internal/rpc calls [Service.Authenticate] and [Authorize] around each
// RPC and passes the caller on with [WithPrincipal]. The table access.api_keys refers to collectives.collectives.
package access
