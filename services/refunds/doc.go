// Package refunds is about what happens to a donation after it was paid.
package refunds
