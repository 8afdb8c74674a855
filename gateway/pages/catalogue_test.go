package pages

import (
	"testing"

	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/gateway/text/texttest"
)

func TestCatalogues(t *testing.T) {
	all, err := text.Load(files, "strings/*.json", text.Languages)
	if err != nil {
		t.Fatal(err)
	}
	texttest.Check(t, all, files)
}
