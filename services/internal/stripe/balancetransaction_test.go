package stripe

import (
	"encoding/json"
	"testing"
)

func TestConvertedBalanceTransaction(t *testing.T) {
	read := func(text string) BalanceTransaction {
		var o balanceTransactionJSON
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		return o.transaction()
	}
	got := read(`{"amount": 2000, "currency": "eur", "exchange_rate": 0.930233, "source": {"id": "ch_1", "object": "charge", "amount": 2150, "currency": "usd"}}`)
	if got.ExchangeRate != "0.930233" || got.Source.Amount != 2150 || got.Source.Currency != "USD" || got.Currency != "EUR" {
		t.Errorf("read %+v", got)
	}
	if got = read(`{"amount": 2000, "currency": "eur", "exchange_rate": null, "source": "ch_1"}`); got.ExchangeRate != "" || got.Source.Currency != "" {
		t.Errorf("read %+v", got)
	}
}
