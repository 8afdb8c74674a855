// Package campaigns owns what money is raised for: texts, goal, bounds, stages,
// embedding origins, and the campaign's life.
//
// # Life
//
//	draft --publish--> published <--pause / resume--> paused
//	published, paused --close--> closed
//
// A verb that finds the campaign where it leads changes nothing and answers it, so
// every verb can be sent twice. From a wrong state it is FAILED_PRECONDITION:
//
//	CAMPAIGN_NOT_DRAFT      publish: it is paused; resume is the word
//	CAMPAIGN_NOT_PUBLISHED  pause, resume, close: it is a draft
//	CAMPAIGN_CLOSED         everything: closed is for ever, updates included
//	DEADLINE_PASSED         publish, resume: it could not take a donation
//
// A draft cannot be closed: closed campaigns are public, and a draft was not meant
// to be seen.
//
// # What never changes
//
//   - The name. Collective and slug are the key in the tables of all services.
//   - One currency for all amounts of a campaign, fixed once it is published
//     (CURRENCY_FIXED): sums over its donations must mean something.
//   - French is there in every text. It is the language that all others fall back to.
//   - A stage keeps its id, also when others are put before it: expenses name it.
//   - An origin is stored in the form that browsers send, so that asking whether a
//     page may call is a comparison and nothing cleverer.
//
// The database holds the states, bounds and the fixed currency by itself; the rules
// that need words for people are in rules.go, with the field in the error.
//
// # Who sees what
//
// Members of the collective and the operator see all. Everybody else, keys of other
// collectives included, sees no draft, and of the rest the fields that the proto
// marks public. The public form is built from nothing, field by field, in
// publicProto; a test makes every new field of the proto choose a side. A
// collective that does not exist and one that shows nothing list alike, so that a
// draft cannot be found by asking.
//
// # Neighbours
//
// It reads collectives' table in SQL, for the name that people read, and imports no
// sibling in Go. Donations know campaigns and not the other way round: progress
// comes in as a [ProgressFunc], called once for a page and not for each row.
package campaigns
