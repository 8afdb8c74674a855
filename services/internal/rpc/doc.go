// Package rpc is the one door: the gRPC server and the chain of interceptors
// that every call passes, REST calls and pages included.
//
// The order is the meaning, and interceptors.go holds it in one place:
//
//  1. recover: a panic becomes INTERNAL, logged with its stack
//  2. request id: the gateway's, or a new one; answered as x-request-id
//  3. log and measure: one line and one observation a call
//  4. end errors: [errs.Error] becomes a status; nothing internal passes
//  5. caller: from which network and page the call comes
//  6. authenticate: the API key, when one is sent; over the network the request is read only now
//  7. authorise: access's permission table, by method and collective
//  8. validate: the constraints of the contract
//  9. count: writes by key have a rate
//  10. take a place of the call's class, until the call ends
//
// Authorisation comes before validation and before any look-up, so that a caller
// without rights learns nothing from the kind of its error.
//
// # One caller does not stop the others
//
// Each call is of a class (class.go), and each class has places of its own, of which one caller has a share. Whoever
// finds none waits a little, as long as the line is not full, and is then told to come again: UNAVAILABLE (TOO_BUSY), or
// STRIPE_UNAVAILABLE where it is Stripe that all wait for.
//
//	class                       places  share of one          waits  line   message   time
//	health                      any                                           4 KiB    5 s
//	webhooks                        32                          5 s   512   264 KiB   15 s
//	public                          64  32 a network            3 s  2048    16 KiB   15 s
//	public, waits for Stripe        24  12 a collective         2 s    96    16 KiB   15 s
//	members                         32  8 a collective          5 s   256  1088 KiB   30 s
//	members, waits for Stripe        8  4 a collective          2 s    32  1088 KiB   30 s
//	imports                          2  1 a collective         10 s     8   4.1 MiB   60 s
//	exports                          6  2 a collective            -     -    16 KiB   15 min (package exports has them)
//	open (reflection, watching)     64  8 a network               -     -     4 KiB   as long as the connection
//	whose key it is                 16  8 a network             5 s   512         -    5 s
//
// The collective of a public call is the one that it is about, which the caller chooses. So of those that wait for Stripe, or
// for a place there, one network has 10 at most, which is less than a collective's share; 20 more may wait before that. The
// collective of a call with a key is the key's own, however many keys it has; the operator's keys have a share each.
//
// Bodies of both ports have one budget of 64 MiB, 16 MiB a network. A call over the network takes of it what may be sent
// before it is read, 64 KiB, and the size of its message; REST takes what is beyond 16 kB. Health has 8 MiB of its own.
//
// A key writes 300 times at once and then 10 times a second, a collective's keys together twice that; beyond it is
// RESOURCE_EXHAUSTED (TOO_MANY_WRITES) with the time to wait.
//
// All of this is in the memory of one process and protects it: with three copies there are three times as many places,
// and a key may write three times as often. A rule that must hold whatever the number of copies, such as how many
// donations one network may start, is in the database.
//
// # Who is believed
//
// What the gateway knows of the browser arrives as metadata, and is believed
// only in process: a gRPC client on the network cannot choose
// its own address. The package knows access and the errors, no other service.
package rpc
