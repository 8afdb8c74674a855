// Package cached answers public reads from the process: rendered, compressed, and shared by all who ask at once.
//
// It stands before everything else of the gateway, so that an answer that it has costs neither a call nor a request id. What
// is not public, or not in its table of routes, passes through as if it were not there. So does a read of its routes that cannot
// be shared, such as one with a query that the API refuses; but it takes a place as a render does.
//
//	age of an answer   who asks gets
//	below 0.5 s        the answer
//	below 1 s          the answer, and one render begins beside
//	above              the next render, which is one for all
//	up to 30 s         the answer, while renders fail or take longer than a second
//
// # Invariants
//
//   - Nothing personal: a render gets a request of our own making, with the path, the route's parameters, a language, and the
//     address for the limits. It has no cookie, key, origin or host, so no answer can depend on them. Where a key
//     shows more, a request with Authorization passes through; elsewhere the header is ignored. Only answers 200 are kept
//     whose Cache-Control says public (a route may say it), and none that sets a cookie.
//   - A 404 is kept for a second in a room of its own, so that invented addresses drive out nothing else. No other answer is
//     kept. A 429 is for one caller, so each asks again for himself.
//   - A render goes on when the first who asked leaves, until its deadline.
//   - Both rooms are bounded in bytes.
//   - The renders under way are bounded, in all and for each client ([Config].Place). A render has the place of the client who
//     asked first. When that client has none, each other who waited takes a place of its own, and the first to have one renders for all.
//   - The ETag is strong, of the bytes, and another for each encoding.
//
// # Neighbours
//
// Package gateway has the table of routes, and the CORS headers, which are added to each answer outside of what is kept. The
// handlers behind it know nothing of it. The room is otter's, which is bounded by weight and admits by frequency.
package cached
