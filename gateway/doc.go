// Package gateway is the HTTP side of the service: the REST API, Stripe's webhooks, health, the embeddable widget, the
// public pages and the console.
//
// It has nothing but a gRPC connection, so that every request passes the interceptors of the services: authenticate,
// authorise, validate, limit. It decides nothing about money, rights or campaigns. It translates, limits sizes, and tells the
// services who calls: client address, origin and request id as `cagnotte-*` metadata, and the headers Authorization and
// Accept-Language. No other header of a client becomes metadata.
//
// A request passes these files, in this order:
//
//	publicreads.go  which addresses package cached answers from memory, before all that follows
//	gateway.go      request id, security headers, routes
//	caller.go       who calls -> gRPC metadata
//	cors.go         whether a page of this origin may read the answer
//	body.go         how much is read of the body, and when
//	parameters.go   refuses query parameters that mean nothing
//	rest.go         JSON <-> gRPC, by the annotations of proto/cagnotte
//	export.go       the ledger export as a stream, which package download continues where it broke off
//	webhooks.go     the raw bodies of Stripe's events
//	errors.go       the one form of all errors
//
// Packages below it: cached keeps rendered public answers, text has the words of all pages, design their look, markdown the texts of members; asset serves an
// embedded file, widget has the script for other sites, pages the public pages, console those of members, guide
// their manual, reference the pages about the API, e2e the browser tests. The gateway imports the protos and services/money,
// and no service.
package gateway
