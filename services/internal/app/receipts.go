package app

import (
	"io"

	"github.com/cagnotte/cagnotte/services/receipts"
)

// OpenReceipts opens a file of sealed identities with an identity file of age and writes them as CSV, without a database.
func OpenReceipts(identity, sealed io.Reader, out io.Writer) error {
	return receipts.OpenFile(identity, sealed, out)
}

// GenerateReceiptKey writes a new identity and returns its public part.
func GenerateReceiptKey(out io.Writer) (recipient string, err error) {
	return receipts.GenerateKey(out)
}
