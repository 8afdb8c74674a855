package exports

import "context"

// FormatProof is the collective's share of everything that is sealed, as JSON Lines: its transactions as they were hashed,
// hashes for what lies between them, and the signed checkpoint. `cagnotte ledger verify -from-export` verifies it offline.
// The transactions of the last seconds are missing until they are sealed. StartDate and EndDate are refused: it is always
// the whole share, since of a part nobody could tell what was left out.
const FormatProof = "PROOF"

func writeProof(ctx context.Context, x *export, c *chunks) error {
	return x.view.WriteShare(ctx, x.book, x.filter.Collective, c)
}
