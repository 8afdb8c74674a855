// Package access answers two questions: who is calling, and may they do this.
//
// # Who is calling
//
// A caller is an API key, `cag_<id>_<secret>`, or a member by a session, `cas_<id>_<secret>`; both are sent as a bearer. The
// id finds the row. The SHA-256 of the secret is compared in constant time; it has 32 random bytes, so a slow hash would add
// nothing. [Principal] is who it is.
//
//	what           works                                     until
//	session        from a link, a passkey or an invitation   14 days without use, 90 days, revoked, removed
//	sign-in link   once, in the browser that asked           15 minutes
//	address link   once, in the session that asked           15 minutes, another one, sign-out
//	invitation     once, when it is approved if it must be   7 days, revoked, the inviter was removed
//	passkey        to sign in; a copy is blocked             deleted
//	API key        from when it is approved, if it must be   its end, revoked, its member's role ends
//	membership     a role since a time; it never changes     ended, by a change of role too, which may have to be approved
//
// A member is a person. Keys that a member makes count as that person and have a role that the member's covers. Keys of no
// person, of the operator or the command line, remember the key that made them: keys of which one made the other, directly
// or through others, belong to one member ([Key.Member]), even when some are revoked. So nobody becomes a second member by
// making a key ([CheckSecondMemberTx]). Who holds a key of no person, or one that an operator made for a collective, is not
// known: where persons could, it neither asks for what a second member approves ([CheckAskerTx]) nor approves it. Keys,
// invitations and promotions to owner or treasurer are such changes (Config.GuardKeyTx, GuardPeopleTx); what waits about one
// that ends is canceled with it (WithdrawTx).
//
// # May they
//
// [Authorize] reads the permission table in table.go. It is the only place where rights are decided, and a method without
// a row cannot be called. The row names the field of the request that names the resource; the collective is read from
// there, before anything is validated or looked up. A caller without the right gets the same NOT_FOUND as for a resource
// that does not exist, and one without a credential UNAUTHENTICATED. What hurts needs a fresh proof ([RequireFresh]).
//
// Finer than a role, the servers decide what is a member's own: sessions, passkeys, keys, leaving. The operator reads
// everything, and does not write campaigns.
//
// # Invariants
//
//   - A secret or token is never stored and shown once. Jobs that mail one make it themselves.
//   - Asking for a link or another address does the same work whether or not somebody has the address.
//   - An address becomes a member's only by a link that was mailed to it. Links to the old one end (emailchange.go).
//   - A collective that has an owner keeps one, and the instance an operator, also when two leave at once.
//   - The other members are told of keys and people in the same transaction (Config.TellTx, TellPeopleTx).
//   - A decision counts only while its key or member may make it: the transaction that writes it holds them ([HoldTx]).
//   - No address of a network is stored, and no mail address but those of members, of who is invited, and for a week the
//     new ones that members asked for: hashes limit attempts (attempts.go).
//   - The names of the operator's keys are shown to the operator only.
//
// # Neighbours
//
// The package imports no other service. services/internal/rpc calls [Service.Authenticate] and [Authorize] around each
// RPC and passes the caller on with [WithPrincipal]. Passkeys are checked by github.com/go-webauthn/webauthn.
package access
