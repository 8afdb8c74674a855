package console

import (
	"encoding/hex"

	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
)

// proofPage says what the seal proves.
type proofPage struct {
	booksPage
	// Sealed says that there is a checkpoint.
	Sealed bool
	Size   string
	Signed string
	// Root is the fingerprint, in hexadecimal; Note the signed text, Key what verifies it, Command how.
	Root, Note, Key, Command string
}

func booksProof(v *visit) error {
	p := proofPage{booksPage: booksTabs(v, "/proof")}
	c, err := v.ledger().GetCheckpoint(v.ctx(), &ledgerv1.GetCheckpointRequest{Name: booksOf(v) + "/checkpoint"})
	switch {
	case isNotFound(err):
	case err != nil:
		return err
	default:
		zone, err := v.zone()
		if err != nil {
			return err
		}
		p.Sealed, p.Size, p.Signed = true, v.N("books.sealedCount", c.GetSize()), v.DateTime(c.GetSignTime().AsTime(), zone)
		p.Root, p.Note, p.Key = hex.EncodeToString(c.GetRoot()), c.GetNote(), c.GetVerifierKey()
		p.Command = "cagnotte ledger verify -key " + c.GetVerifierKey() + " -from-export FILE"
	}
	return v.show("books/proof", v.T("books.proofTitle"), p)
}
