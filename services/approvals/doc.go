// Package approvals owns the changes that wait for a second person, and the rule that says when they do.
//
// Guarded are a collective's bank account, its limit of refunds, its alert addresses, the rule itself, and who else is trusted:
// API keys of an owner's or treasurer's role, invitations to these roles, and promotions to them ([BankAccount] to
// [MemberRole]). While the rule is active, whoever wants such a change only asks for it.
//
//	state     set by                        what happens
//	pending   [Service.RequestTx]           it waits; all members are told
//	approved  [Service.Approve]             it is applied, in the same transaction
//	rejected  [Service.Reject]              another person refused it
//	canceled  [Service.Cancel]              the person who asked took it back
//	          [Service.WithdrawTx]          the invitation or key was revoked, or the membership has ended
//	expired   the job, after seven days     nobody decided
//
// A trigger keeps what was asked, and lets a state only leave pending. These rules hold:
//
//   - A person asks, by a session or a key that they made as a member. A key of no person, or one that an operator made for
//     the collective, asks for nothing: its holder would approve with a session. It is PERSON_NEEDED (access.CheckAskerTx).
//   - The person who asked never approves, with whatever key or session: access.CheckSecondMemberTx decides who is who. Nor
//     does somebody who got the role, or a key that was made, after it was asked. The operator may be the second person.
//   - A change is applied only if what it changes is still what it was when it was asked; else it is CHANGE_OUTDATED.
//   - Of one setting one change waits at a time. The same request again is that change.
//   - What is stored of the values is needed to apply them; people see them shortened.
//
// # The rule
//
//	mode       active
//	automatic  once two people have been owner or treasurer of the collective, and from then on
//	on         yes
//	off        no
//
// Keys of no person do not count for automatic: which of them are one person's is not known well enough. A change that makes
// the rule inactive is guarded itself.
//
// # Neighbours
//
// It imports access, audit and notices. Who owns a guarded setting calls [Service.ActiveTx] and [Service.RequestTx] in its own
// transaction, and gives app a function that applies the change ([Config].Apply): collectives for its settings, access for
// keys, invitations and roles.
package approvals
