// Package wall stands before every way to make a payment, so that nobody can use the service to try stolen cards.
//
// # What it owns
//
// The schema wall: the results of payments by card of the last hours, and the card ways that are closed ([CardWays], closing.go).
//
// # Neighbours
//
// Donations call it. It imports no other service, and knows what it counts as plain values.
package wall
