// Package reference serves the pages about the API:
//
//	GET /api               how to call, and every call in a line
//	GET /api/{package}     each call of one package with its curl line, fields, answer and errors
//	GET /api/errors        the reasons of errors, with their codes and HTTP statuses
//
// The pages are made from the contract: `make generate` writes the descriptors of the protos, with their comments, to
// contract.binpb.gz. They are rendered once, at start, need no JavaScript, and are the same for everybody.
//
//	contract.go    descriptors -> services, methods, messages, enums
//	example.go     a curl line with a body that the constraints of the contract accept
//	text.go        comments -> HTML: paragraphs, code, errors
//	reference.go   the pages and their routes
package reference
