package bank

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/calendar"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/ledger"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
	"github.com/cagnotte/cagnotte/services/treasury"
	"github.com/cagnotte/cagnotte/services/wall"
)

var (
	vallon    = campaigns.Name{Collective: "vallon", Campaign: "avocate"}
	someDay   = calendar.Day("2026-03-02")
	frenchCSV = statement.CSVFormat{
		Separator: ';', DateLayout: "02/01/2006", DecimalMark: ",", SkipLines: 1, Date: 1, Debit: 3, Credit: 4, Text: []int{2},
	}
)

func eur(minor int64) money.Amount { return money.Amount{Minor: minor, Currency: money.EUR} }

// env is the service with those that it works with.
type env struct {
	*Service
	treasury  *treasury.Service
	campaigns *campaigns.Service
}

// open returns a service whose clock stands still, with a published campaign.
func open(t *testing.T) (*env, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.New(t)
	now := func() time.Time { return time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC) }
	groups := collectives.New(collectives.Config{Pool: pool, Now: now})
	e := &env{campaigns: campaigns.New(campaigns.Config{Pool: pool, Now: now})}
	books := ledger.New(ledger.Config{Pool: pool, Now: now})
	e.treasury = treasury.New(treasury.Config{
		Pool: pool, Campaigns: e.campaigns, Collectives: groups, Ledger: books, Now: now,
		Wall:   wall.New(wall.Config{Limits: wall.Limits{Off: true}}),
		Banked: func(ctx context.Context, collective string) error { return e.Recognise(ctx, collective) },
	})
	e.Service = New(Config{
		Pool: pool, Collectives: groups, Ledger: books, Treasury: e.treasury, Notices: notices.New(notices.Config{Pool: pool, Now: now}), SecretKey: []byte("0123456789abcdef0123456789abcdef"), Now: now,
	})
	if _, err := groups.Create(t.Context(), collectives.Collective{
		ID: vallon.Collective, DisplayName: "Vallon",
		Settings: collectives.Settings{BankAccount: collectives.BankAccount{Holder: "Vallon", IBAN: "FR7630006000011234567890189"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.campaigns.Create(t.Context(), vallon, campaigns.Content{
		Texts: map[string]campaigns.Text{"fr": {Title: "Une avocate"}}, Goal: eur(800_00), Minimum: eur(1_00), Maximum: eur(800_00),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.campaigns.Publish(t.Context(), vallon, ""); err != nil {
		t.Fatal(err)
	}
	return e, pool
}

func ask() treasury.Request {
	return treasury.Request{ID: uuid.New(), By: "collectives/vallon/apiKeys/k"}
}

func (s *env) give(t *testing.T, method treasury.Method, minor int64) treasury.OfflineDonation {
	t.Helper()
	g, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), treasury.OfflineDonation{Campaign: vallon, Amount: eur(minor), Method: method, ReceivedOn: someDay})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *env) promise(t *testing.T, minor int64) treasury.Pledge {
	t.Helper()
	p, err := s.treasury.CreatePledge(t.Context(), ask(), treasury.NewPledge{Campaign: vallon, Amount: eur(minor), Method: treasury.MethodTransfer})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// balance is what stands on the account of a role.
func (s *env) balance(t *testing.T, code string) int64 {
	t.Helper()
	accounts, err := s.cfg.Ledger.Accounts(t.Context(), "", vallon.Collective, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Code == code && len(a.Balances) == 1 {
			return a.Balances[0].Minor
		}
	}
	return 0
}

// read imports a CSV file of these lines.
func (s *env) read(t *testing.T, lines ...string) Imported {
	t.Helper()
	done, err := s.ImportStatement(t.Context(), ask(), csvFile("h\n"+strings.Join(lines, "\n")+"\n", &frenchCSV))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func csvFile(content string, format *statement.CSVFormat) Import {
	return Import{Collective: vallon.Collective, File: statement.File{Content: []byte(content), CSV: format, Currency: money.EUR}}
}

// line returns the one line of an amount.
func (s *env) line(t *testing.T, minor int64) Line {
	t.Helper()
	lines, err := s.Lines(t.Context(), "vallon", LineFilter{}, newest, 100)
	if err != nil {
		t.Fatal(err)
	}
	lines = slices.DeleteFunc(lines, func(l Line) bool { return l.Amount.Minor != minor })
	if len(lines) != 1 {
		t.Fatalf("%d lines of %d", len(lines), minor)
	}
	return lines[0]
}

// camt is a statement with entries, in a version's namespace.
func camt(version, opening, closing string, entries ...string) []byte {
	return []byte(fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.%s"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr><Stmt>
<Id>S1</Id><Acct><Id><IBAN>FR7630006000011234567890189</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">%s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">%s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>
%s</Stmt></BkToCstmrStmt></Document>`, version, opening, closing, strings.Join(entries, "\n")))
}

const (
	camtCredit = `<Ntry><Amt Ccy="EUR">25.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>
<AcctSvcrRef>B-1</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
<RltdPties><Dbtr><Nm>Jeanne Dupont</Nm></Dbtr><DbtrAcct><Id><IBAN>FR1420041010050500013M02606</IBAN></Id></DbtrAcct></RltdPties>
<RmtInf><Ustrd>CAG-7K3M</Ustrd><Ustrd>9QXT</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`
	camtDebit = `<Ntry><Amt Ccy="EUR">90.5</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><DtTm>2026-03-02T09:00:00+01:00</DtTm></BookgDt>
<NtryRef>N-2</NtryRef><AddtlNtryInf>PRLV</AddtlNtryInf></Ntry>`
	camtPending = `<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>PDNG</Cd></Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt></Ntry>`
	camtBatch   = `<Ntry><Amt Ccy="EUR">30.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt><AcctSvcrRef>B-3</AcctSvcrRef>
<NtryDtls><TxDtls><AmtDtls><TxAmt><Amt Ccy="EUR">10.00</Amt></TxAmt></AmtDtls><RmtInf><Ustrd>one</Ustrd></RmtInf></TxDtls>
<TxDtls><Refs><AcctSvcrRef>B-3b</AcctSvcrRef></Refs><Amt Ccy="EUR">20.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><RmtInf><Ustrd>two</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>`
)
