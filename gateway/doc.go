// Package gateway is the HTTP side of the service: the REST API, Stripe's
// webhooks, health, the embeddable widget and the public pages.
//
// It holds nothing but a gRPC connection, so that everything from outside meets
// the same interceptors: authenticate, authorise, validate, limit. It decides
// nothing about money, rights or campaigns; it translates, limits sizes, and
// says who called. What it says about the caller (client address, origin, request
// id) travels as `cagnotte-*` metadata, which the other side believes because the
// connection is private: the gateway therefore lets no client header become metadata,
// `Authorization` aside.
//
// One request passes, in this order:
//
//	gateway.go    request id, security headers, the routes
//	caller.go     who calls -> gRPC metadata
//	cors.go       may this origin's page read the answer?
//	rest.go       JSON <-> gRPC by the annotations of proto/cagnotte
//	export.go     the ledger export, a stream that never looks whole when it is not
//	webhooks.go   raw bodies from Stripe
//	errors.go     the one form of every error
//
// Sub-packages: asset serves one embedded file well, widget holds the script for
// other people's sites, pages the public pages, reference the pages about the API, e2e the browser tests. The gateway
// imports the protos and services/money of this module, and no service.
package gateway
