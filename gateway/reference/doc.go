// Package reference serves the page about the API that people read:
//
//	GET /api               how to call, and every call in a line
//	GET /api/{package}     each call of one package with its curl line, fields, answer and errors
//
// It is made from the contract. `make generate` writes the descriptors of the protos, with their
// comments, to contract.binpb.gz; nothing about the API is written here a second time. The pages are
// rendered once, when the program starts, work without JavaScript, and show the same to everybody.
//
//	contract.go    descriptors -> services, methods, messages, enums
//	example.go     a curl line whose body the service's own constraints accept
//	text.go        comments -> HTML: paragraphs, code, errors
//	reference.go   the pages and their routes
package reference
