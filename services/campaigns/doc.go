// Package campaigns owns what money is raised for: texts, image, goal, bounds, stages, allowed origins, the state, and news.
//
// # States
//
//	state      who sees it   donations                    verbs, and where they lead
//	draft      members       none                         publish: published
//	published  everybody     until the deadline           pause: paused; close: closed
//	paused     everybody     none; monthly ones continue  resume: published; close: closed
//	closed     everybody     none; monthly ones end       none
//
// A verb is idempotent: a campaign that is in the verb's state already is answered as it is. A verb in another state is
// FAILED_PRECONDITION:
//
//	CAMPAIGN_NOT_DRAFT      publish, when it is paused: resume it
//	CAMPAIGN_NOT_PUBLISHED  pause, resume and close, when it is a draft
//	CAMPAIGN_CLOSED         publish, pause, resume and updates, when it is closed
//	DEADLINE_PASSED         publish and resume, when no donation could be started
//	NO_WAY_TO_PAY           publish and resume, when Stripe takes no payments and there is no other way to pay
//
// A draft cannot be closed, because closed campaigns are public. It can be deleted. News are draft, published or withdrawn.
//
// # Invariants
//
//   - Collective and slug are the key in the tables of all services. They change, and a draft is deleted, only while no
//     donation, pledge, expense or entry of the books refers to them (CAMPAIGN_IN_USE). Triggers decide it under a lock that
//     whoever adds one of these shares.
//   - A campaign has one currency for all amounts, which is fixed once it is published (CURRENCY_FIXED). So its donations
//     can be summed.
//   - What is shown of a campaign ([Shown]) changes when it is closed, too: expenses come later, and whoever wants to leave the
//     front page may. Owners alone show expenses.
//   - Each text has French, the language that all others fall back to.
//   - A stage keeps its id when others are put before it, because expenses name it. No later stage gets an id on which money
//     was spent.
//   - An event has a day and a place, and may be over: its page and its accounts stay.
//   - An origin is stored in the form that browsers send. So a comparison tells whether a page may call. Those that were
//     refused are held in memory and written at most once in two seconds, 20 for a campaign, of which one
//     network adds five in a day or so.
//
// The database enforces states, bounds and the fixed currency too. rules.go has the rules whose errors name a field.
//
// # Who sees what
//
// Members of the collective and the operator see all fields. Everybody else, keys of other collectives included, sees no
// draft, and of the others the fields that the contract marks public. publicProto copies those fields one by one, and a
// test makes every new field of the contract choose a side. The list of a missing collective is empty, like that of a
// collective with drafts only. So nobody finds a draft by asking.
//
// # Neighbours
//
// It reads the tables of collectives in SQL, for the display name and the profile, and those of treasury for the stages on
// which something was spent. It imports audit alone. An image is named by its id, with a foreign key to those of package
// images. Donations import campaigns, not the other way round: progress comes in as a [ProgressFunc], which is called once
// for a page of campaigns.
package campaigns
