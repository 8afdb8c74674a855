// Package connect owns what is known of accounts at Stripe: the platform's own, and those that collectives connected.
//
// Donations go to the platform's own account, written as the empty string, or to a connected one. Which account is a
// collective's stands in package collectives; what an account may do stands here.
//
// # Connected accounts
//
// [Service.StartOnboarding] gives a collective a Standard account of its own, and a link into Stripe's form. It stores
// the intent, makes the account under an idempotency key of that row, and makes it the collective's. Only a member with
// a key is given the link, since its holder sets the bank account that donations are paid out to.
//
//	onboarding   stripe_account  collective's account
//	none         -               -
//	begun        empty           -                     the intent is stored; Stripe may have made the account
//	made         acct_…          -                     Stripe answered
//	done         acct_…          acct_…                the collective has it
//
// What an account may do is read at Stripe, never taken from an event. [Service.ReadAccount] reads it when an event
// names it, when somebody looks at one that is not ready, and once a day. Of two readings the one that began later
// holds. Members are told what Stripe wants to know, once for each set of wants.
//
// An account can be disconnected at Stripe. [Service.SetConnectedTx] notes it, by an event or a reading. Until it is
// connected again its collectives take no donations, nothing of it is read, and its books stay as they are.
//
//	check                          refuses                                                  asked before
//	[Service.CheckConnected]       a disconnected account                                   every call for a collective
//	[Service.CheckTakesDonations]  also one that takes no payments, or that is missing      a donation
//	[Service.TakingDonations]      the same, of many collectives at once                    a list of campaigns
//
// # The platform
//
// [Service.BindPlatform] stores, at the first start, whose account the platform's own is and whether its money is real.
// From then on it refuses the key of another account or mode.
//
// # Neighbours
//
// It imports collectives, notices and access, and calls Stripe through internal/stripe, never inside a transaction.
// donations, refunds and webhooks import it. It knows no campaign and no donation.
package connect
