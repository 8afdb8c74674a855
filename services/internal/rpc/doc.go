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
//  6. authenticate: the API key, when one is sent
//  7. authorise: access's permission table, by method and collective
//  8. validate: the constraints of the contract
//
// Authorisation comes before validation and before any look-up, so that a caller
// without rights learns nothing from the kind of its error.
//
// What the gateway knows of the browser arrives as metadata, and is believed
// only in process: a gRPC client on the network cannot choose
// its own address. The package knows access and the errors, no other service.
package rpc
