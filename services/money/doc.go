// Package money counts money: whole minor units of one ISO 4217 currency, never a float.
//
// An [Amount] is added, split, parsed and formatted here and nowhere else. Every operation that
// could leave the range of int64 or mix currencies says so with an error. Minor units are those
// of Stripe, since Stripe's balance transactions are the source of the books: see
// [Currency.Exponent].
//
// It is a leaf: it imports the standard library alone, and everybody may import it.
package money
