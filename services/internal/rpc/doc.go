// Package rpc is the gRPC server and the chain of interceptors that every call passes, REST calls and pages included.
//
// The steps of a call, in this order (interceptors.go):
//
//  1. recover: a panic becomes INTERNAL and is logged with its stack
//  2. request id: the gateway's or a new one; the answer has it as x-request-id
//  3. log and measure: one line and one observation for each call
//  4. answer errors: an [errs.Error] becomes a status with its reason and a text in the caller's language
//  5. caller: the network, page and language that the call comes from
//  6. authenticate: the API key, when there is one; a call over the network is read only after this
//  7. authorise: the permission table of package access, by method and collective
//  8. validate: the constraints of the contract
//  9. count: a key may write only so often
//  10. take a place of the call's class, until the call ends
//  11. set whose rows the call may see in the database (scope.go)
//
// Authorisation comes before validation and before any look-up, so that a caller without rights learns nothing from the
// kind of its error. Metadata of the gateway (client address, origin, request id) counts in process only: a client on the
// network cannot choose its own address.
//
// # One caller does not block the others
//
// Each call has a class (class.go), and each class has its own places, of which one caller may take a share. A call without
// a place waits a little in the class's line. When the wait or the line is full, it is UNAVAILABLE: STRIPE_UNAVAILABLE in the
// classes that wait for Stripe, TOO_BUSY in the others.
//
//	class                       places  share of one          waits  line   message   time
//	health                      any                                           4 KiB    5 s
//	webhooks                        32                          5 s   512   264 KiB   15 s
//	public                          64  32 a network            3 s  2048    16 KiB   15 s
//	public, waits for Stripe        24  12 a collective         2 s    96    16 KiB   15 s
//	members                         32  8 a collective          5 s   256  1088 KiB   30 s
//	members, waits for Stripe        8  4 a collective          2 s    32  1088 KiB   30 s
//	imports                          2  1 a collective         10 s     8   4.1 MiB   60 s
//	exports                          6  2 a collective            -     -    16 KiB   15 min (in package exports)
//	open (reflection, watching)     64  8 a network               -     -     4 KiB   as long as the connection
//	whose key it is                 16  8 a network             5 s   512         -    5 s
//
// The collective of a public call is the one that it is about. The caller chooses it, so one network also has at most 10
// places, and 20 in the line, of those that wait for Stripe. The collective of a call with a key is the key's own; each of
// the operator's keys has its own share.
//
// The bodies of both ports together have 128 MiB, of which one network may take 40 MiB. A call over the network takes 64 KiB
// before it is read, and then the size of its message; a REST call takes what is beyond 16 kB, with the copies that decoding
// makes. Health has its own 8 MiB.
//
// A key may write 300 times at once and then 10 times a second; all keys of a collective together may write twice as often.
// Beyond that a call is RESOURCE_EXHAUSTED (TOO_MANY_WRITES) with the time to wait.
//
// These limits are in the memory of one process and protect it: three copies have three times as much. Rules that must hold
// for all copies together are in the database.
//
// The package knows package access and the errors, and no other service.
package rpc
