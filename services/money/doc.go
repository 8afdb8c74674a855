// Package money counts money: whole minor units of one ISO 4217 currency, never a float.
//
// # What it owns
//
// [Amount] and [Currency]. Amounts are added, parsed and formatted here and nowhere else. The minor units are those
// of Stripe, since Stripe's balance transactions are the source of the books: see [Currency.Exponent].
//
// # What is always true
//
//   - An operation whose result does not fit into int64, or that would mix currencies, returns an error.
//   - [Parse] reads everything that [Amount.Format] writes, and refuses to guess.
//
// # Neighbours
//
// It imports the standard library alone, and every package may import it. Package wire turns an Amount into the message of
// the API and back.
package money
