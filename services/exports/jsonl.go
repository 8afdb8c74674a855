package exports

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/ledger"
)

// jsonEntry is a line. Amounts are in minor units, debit positive. They are strings like ids, as everywhere in the API,
// since readers of JSON lose digits of large numbers. Times are UTC.
type jsonEntry struct {
	Transaction   int64  `json:"transaction,string"`
	Reference     string `json:"reference"`
	Kind          string `json:"kind"`
	EffectiveDate string `json:"effective_date"`
	EffectiveTime string `json:"effective_time"`
	RecordedTime  string `json:"recorded_time"`
	Line          int16  `json:"line"`
	Account       string `json:"account"`
	AccountName   string `json:"account_name"`
	AccountType   string `json:"account_type"`
	AmountMinor   int64  `json:"amount_minor,string"`
	Currency      string `json:"currency_code"`
	Campaign      string `json:"campaign,omitempty"`
	Donation      string `json:"donation,omitempty"`
}

type jsonlWriter struct {
	*chunks
	zone    *time.Location
	encoder *json.Encoder
}

func openJSONL(_ context.Context, x *export, c *chunks) (writer, error) {
	encoder := json.NewEncoder(c)
	encoder.SetEscapeHTML(false)
	return jsonlWriter{c, x.zone, encoder}, nil
}

func (w jsonlWriter) entry(row *ledger.EntryRow) error {
	line := jsonEntry{
		Transaction:   row.TransactionID,
		Reference:     row.Reference,
		Kind:          row.Kind,
		EffectiveDate: row.Effective.In(w.zone).Format(time.DateOnly),
		EffectiveTime: row.Effective.UTC().Format(time.RFC3339Nano),
		RecordedTime:  row.Recorded.UTC().Format(time.RFC3339Nano),
		Line:          row.Line,
		Account:       row.Code,
		AccountName:   row.DisplayName,
		AccountType:   string(row.Type),
		AmountMinor:   row.Amount.Minor,
		Currency:      string(row.Amount.Currency),
		Campaign:      row.Campaign,
	}
	if row.Donation != uuid.Nil {
		line.Donation = row.Donation.String()
	}
	return w.encoder.Encode(&line)
}

func (w jsonlWriter) end() error { return nil }
