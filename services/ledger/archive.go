package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// archiveVersion is in the first line of an archive.
const archiveVersion = 2

// The types of an archive's lines, in their order in the file.
const (
	lineBook        = "book"
	lineCheckpoint  = "checkpoint"
	lineBalance     = "balance"
	lineTransaction = "transaction"
	lineEnd         = "end"
	// A share begins with its own line instead of the book's, and has gaps.
	lineShare = "share"
	lineGap   = "gap"
)

// archiveLine is a line of an archive, a JSON object; which members it has depends on its type. Numbers are
// strings, as everywhere in the API. Times are UTC, hashes base64.
type archiveLine struct {
	Type string `json:"type"`

	Version int    `json:"version,omitempty"`
	Book    string `json:"book,omitempty"`

	// Size of a checkpoint, and of the one before.
	Size         int64    `json:"size,string,omitempty"`
	PreviousSize int64    `json:"previous_size,string,omitempty"`
	Consistency  [][]byte `json:"consistency,omitempty"`
	Note         string   `json:"note,omitempty"`
	VerifierKey  string   `json:"verifier_key,omitempty"`

	// Number of a transaction, or the one that a balance was kept at.
	Number      int64          `json:"number,string,omitempty"`
	Transaction int64          `json:"transaction,string,omitempty"`
	XID         uint64         `json:"xid,string,omitempty"`
	Reference   string         `json:"reference,omitempty"`
	Kind        string         `json:"kind,omitempty"`
	Effective   *time.Time     `json:"effective_time,omitempty"`
	Recorded    *time.Time     `json:"recorded_time,omitempty"`
	Fingerprint []byte         `json:"fingerprint,omitempty"`
	Salt        []byte         `json:"salt,omitempty"`
	LeafHash    []byte         `json:"leaf_hash,omitempty"`
	Entries     []archiveEntry `json:"entries,omitempty"`

	Balance *archiveEntry `json:"balance,omitempty"`

	// Collective is whose share it is, and Share, beside its checkpoint, how many transactions it has. Others are the hashes
	// of what others have in a transaction.
	Collective string      `json:"collective,omitempty"`
	Share      *shareProof `json:"share,omitempty"`
	Others     [][]byte    `json:"others,omitempty"`
	// Last is the last number of a gap, and Hashes those of the subtrees that make it up.
	Last   int64    `json:"last,string,omitempty"`
	Hashes [][]byte `json:"hashes,omitempty"`
}

// archiveEntry is an entry, or a kept balance: then without line and donation.
type archiveEntry struct {
	Line        int16          `json:"line,omitempty"`
	Account     string         `json:"account"`
	AmountMinor int64          `json:"amount_minor,string"`
	Currency    money.Currency `json:"currency_code"`
	Collective  string         `json:"collective,omitempty"`
	Campaign    string         `json:"campaign,omitempty"`
	Donation    *uuid.UUID     `json:"donation,omitempty"`
}

// The newest sum of each key of all time, at the newest balance checkpoint.
const archiveBalancesSQL = `
SELECT
    (
        SELECT max(b.number)
        FROM ledger.balance_checkpoints AS b
        WHERE b.book = @book
    ),
    a.code,
    n.balance,
    k.currency,
    k.collective,
    k.campaign
FROM ledger.accounts AS a
JOIN ledger.balance_keys AS k ON k.account_id = a.id AND k.span = 'all'
CROSS JOIN LATERAL (
    SELECT b.balance
    FROM ledger.balances AS b
    WHERE b.key_id = k.id
    ORDER BY b.number DESC
    LIMIT 1
) AS n
WHERE a.book = @book
ORDER BY
    a.code COLLATE "C",
    k.collective COLLATE "C",
    k.campaign COLLATE "C",
    k.currency COLLATE "C"`

// WriteArchive writes all that is sealed of a book as JSON Lines: its checkpoints, the balances that are
// kept, and each transaction with everything that was hashed. [VerifyArchive] checks it without a database. A
// book with several collectives is in it whole, so it is for who runs the instance; [View.WriteShare] is for
// one of them. Nothing in it names a donor.
//
// It reads one snapshot, and holds the checkpoints in memory.
func (s *Service) WriteArchive(ctx context.Context, book string, w io.Writer) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return postgres.Error(err)
	}
	// There is nothing to commit.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, noTimeoutSQL); err != nil {
		return postgres.Error(err)
	}
	v := &verification{Report: &Report{Book: book}}
	if err := v.loadCheckpoints(ctx, tx); err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(archiveLine{Type: lineBook, Version: archiveVersion, Book: book}); err != nil {
		return err
	}
	for i := range v.checkpoints.all {
		c := &v.checkpoints.all[i]
		if err := encoder.Encode(archiveLine{
			Type: lineCheckpoint, Size: c.size, PreviousSize: c.previous, Consistency: c.consistency, Note: c.note, VerifierKey: c.verifierKey,
		}); err != nil {
			return err
		}
	}
	if err := archiveBalances(ctx, tx, book, encoder); err != nil {
		return err
	}
	var failed error
	if err := v.stream(ctx, tx, verifySealedSQL, func(r *verified) {
		if failed == nil {
			failed = encoder.Encode(archiveTransaction(r))
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return encoder.Encode(archiveLine{Type: lineEnd})
}

func archiveBalances(ctx context.Context, tx pgx.Tx, book string, encoder *json.Encoder) error {
	rows, err := tx.Query(ctx, archiveBalancesSQL, pgx.NamedArgs{"book": book})
	if err != nil {
		return postgres.Error(err)
	}
	defer rows.Close()
	for rows.Next() {
		line := archiveLine{Type: lineBalance, Balance: &archiveEntry{}}
		b := line.Balance
		if err := rows.Scan(&line.Number, &b.Account, &b.AmountMinor, &b.Currency, &b.Collective, &b.Campaign); err != nil {
			return postgres.Error(err)
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return postgres.Error(rows.Err())
}

func archiveTransaction(r *verified) archiveLine {
	line := archiveHead(&r.leaf.LeafHead, r.leaf.Entries)
	line.Fingerprint, line.Salt, line.LeafHash = r.leaf.Fingerprint, r.leaf.Salt, r.leafHash
	return line
}

func archiveShare(s *LeafShare, hash []byte) archiveLine {
	line := archiveHead(&s.LeafHead, s.Entries)
	line.Salt, line.LeafHash, line.Others = s.Salt, hash, s.Others
	return line
}

func archiveHead(h *LeafHead, entries []LeafEntry) archiveLine {
	effective, recorded := h.Effective.UTC(), h.Recorded.UTC()
	line := archiveLine{
		Type: lineTransaction, Number: h.Number, Transaction: h.ID, XID: h.XID, Reference: h.Reference,
		Kind: h.Kind, Effective: &effective, Recorded: &recorded,
	}
	for _, e := range entries {
		entry := archiveEntry{
			Line: e.Line, Account: e.Code, AmountMinor: e.Amount.Minor, Currency: e.Amount.Currency, Collective: e.Collective, Campaign: e.Campaign,
		}
		if e.Donation != uuid.Nil {
			donation := e.Donation
			entry.Donation = &donation
		}
		line.Entries = append(line.Entries, entry)
	}
	return line
}

// only is the line with nothing but the members that one of its type has.
func (line *archiveLine) only() (archiveLine, error) {
	l := archiveLine{Type: line.Type}
	switch line.Type {
	case lineBook:
		l.Version, l.Book = line.Version, line.Book
	case lineShare:
		l.Version, l.Book, l.Collective = line.Version, line.Book, line.Collective
	case lineCheckpoint:
		l.Size, l.PreviousSize, l.Consistency = line.Size, line.PreviousSize, line.Consistency
		l.Note, l.VerifierKey, l.Share = line.Note, line.VerifierKey, line.Share
	case lineBalance:
		l.Number = line.Number
		if b := line.Balance; b != nil {
			l.Balance = &archiveEntry{Account: b.Account, AmountMinor: b.AmountMinor, Currency: b.Currency, Collective: b.Collective, Campaign: b.Campaign}
		}
	case lineTransaction:
		l.Number, l.Transaction, l.XID, l.Reference, l.Kind = line.Number, line.Transaction, line.XID, line.Reference, line.Kind
		l.Effective, l.Recorded, l.Fingerprint, l.Salt = line.Effective, line.Recorded, line.Fingerprint, line.Salt
		l.LeafHash, l.Entries, l.Others = line.LeafHash, line.Entries, line.Others
	case lineGap:
		l.Number, l.Last, l.Hashes = line.Number, line.Last, line.Hashes
	case lineEnd:
	default:
		return l, fmt.Errorf("%q is no type of line", line.Type)
	}
	return l, nil
}

// parseLine reads a line that is written as this program writes it, to the byte: JSON has many ways to say one
// thing, and some that two readers take for two things, such as a member that comes twice.
func parseLine(data []byte) (*archiveLine, error) {
	var line archiveLine
	if err := json.Unmarshal(data, &line); err != nil {
		return nil, err
	}
	only, err := line.only()
	if err != nil {
		return nil, err
	}
	var again bytes.Buffer
	encoder := json.NewEncoder(&again)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(only); err != nil {
		return nil, err
	}
	if !bytes.Equal(again.Bytes(), data) {
		return nil, errors.New("is not written as the program writes it")
	}
	return &line, nil
}
