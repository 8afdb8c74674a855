package widget

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/cagnotte/cagnotte/services/money"
)

// The pages read amounts by package money, and the widget by a rule of its own in words.js. Both read the same table: the
// browser spec of the widget types it, too.
func TestAmountsAsPagesReadThem(t *testing.T) {
	raw, err := os.ReadFile("../e2e/amounts.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[money.Currency]map[string]*int64
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	for currency, rows := range table {
		for typed, want := range rows {
			got, err := money.Parse(typed, currency)
			if (err == nil) != (want != nil) || want != nil && got.Minor != *want {
				t.Errorf("%s %q: got %d, %v", currency, typed, got.Minor, err)
			}
		}
	}
	if len(table["EUR"]) < 30 {
		t.Error("the table is too short")
	}
}
