package exports

import "context"

// FormatProof is the collective's share of what is sealed with all that is needed to check it offline: JSON Lines of
// transactions as they were hashed, hashes for what lies between them, and the signed checkpoint.
// `cagnotte ledger verify -from-export` reads it. The last seconds are missing from it, until they are sealed. StartDate and EndDate
// are refused: it is the whole share, since of a part nobody could tell what was left out from what was hidden.
const FormatProof = "PROOF"

// writeProof goes by transactions, in the order of their numbers.
func writeProof(ctx context.Context, x *export, c *chunks) error {
	return x.view.WriteShare(ctx, x.book, x.filter.Collective, c)
}
