package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// bodies are what requests need besides names, request ids and what mend guesses, in JSON, by method.
var bodies = map[string]string{
	"cagnotte.ledger.v1.LedgerService.CreateAccount": `{"account_id": "7541"}`,
	"cagnotte.bank.v1.BankService.ImportBankStatement": `{"content": "RGF0ZTtUZXh0ZTtNb250YW50CjAxLzAyLzIwMjY7VmlyZW1lbnQ7NSwwMAo=",
		"csv": {"skip_lines": 1, "date_column": 1, "text_columns": [2], "amount_column": 3}}`,
	"cagnotte.bank.v1.BankService.MatchBankLine": `{"target": {"campaign": "collectives/vallon/campaigns/avocate"}}`,
	"cagnotte.bank.v1.BankService.SplitBankLine": `{"parts": [{"amount": {"currency_code": "EUR", "amount_minor": 100}},
		{"amount": {"currency_code": "EUR", "amount_minor": 400}}]}`,
	"cagnotte.campaigns.v1.CampaignsService.CreateCampaign": `{"campaign_id": "autre"}`,
	"cagnotte.campaigns.v1.CampaignsService.CopyCampaign":   `{"campaign_id": "autre"}`,
	"cagnotte.campaigns.v1.CampaignsService.RenameCampaign": `{"campaign_id": "autre"}`,
	"cagnotte.receipts.v1.ReceiptsService.ResealDonors": `{"sealing_keys": ["age1xx"], "resealed_donors": [{"receipt": "collectives/vallon/receipts/UUID",
		"sealed_before_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "sealed": "xx"}]}`,
	"cagnotte.treasury.v1.TreasuryService.CreateDeposit": `{"deposit": {"cheques": ["collectives/vallon/campaigns/avocate/offlineDonations/UUID"]}}`,
}

// ownOnly are methods that name no resource of a collective: each answers what is the caller's own.
var ownOnly = regexp.MustCompile(`^cagnotte\.access\.v1\.MembersService\.|GetPrincipal$|ListCollectives$`)

// neighbours are a collective with something of everything, and another one's members.
type neighbours struct {
	e *apptest.Env
	// names are those of all that the collective has.
	names []string
	owner string
	// strangers are keys of the other collective, by role.
	strangers map[accessv1.Role]string
	// open turns the permission table off.
	open *atomic.Bool
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	n := &neighbours{open: &atomic.Bool{}, strangers: map[accessv1.Role]string{}}
	n.e = apptest.Start(t, apptest.Config{Adjust: func(cfg *app.Config) {
		app.WithAuthorize(cfg, func(p access.Principal, method string, req proto.Message) error {
			if n.open.Load() {
				return access.AuthorizeUnread(p, method)
			}
			return access.Authorize(p, method, req)
		})
	}})
	y := newTreasury(t, n.e, "vallon")
	n.owner = y.owner
	n.fill(t, y)
	n.e.Campaign("voisins")
	for _, role := range []accessv1.Role{accessv1.Role_ROLE_OWNER, accessv1.Role_ROLE_EDITOR, accessv1.Role_ROLE_TREASURER, accessv1.Role_ROLE_AUDITOR} {
		n.strangers[role] = n.e.Key("collectives/voisins", role)
	}
	n.crawl(t, y.collective)
	return n
}

// fill gives the collective rows of many kinds.
func (n *neighbours) fill(t *testing.T, y *treasury) {
	t.Helper()
	k := &desk{e: n.e, slug: "vallon", campaign: y.campaign, collective: y.collective, owner: y.owner, treasurer: y.key, second: y.owner, audi: y.reader}
	d, _ := k.paid(t, 50_00)
	k.create(t, y.key, ask(d, 1_00))
	monthly := donationTo(y.campaign)
	monthly.Recurrence = 1
	pay(t, n.e, give(t, n.e.Conn, monthly))
	y.pledge(t, 20_00)
	treasury, bank := treasuryv1.NewTreasuryServiceClient(n.e.Conn), bankv1.NewBankServiceClient(n.e.Conn)
	must := func(_ proto.Message, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := apptest.WithKey(t.Context(), y.key)
	must(treasury.CreateOfflineDonation(ctx, y.cash(10_00)))
	cheque, err := treasury.CreateOfflineDonation(ctx, y.cheque(10_00))
	must(cheque, err)
	must(treasury.CreateOfflineDonation(ctx, y.cheque(12_00)))
	must(treasury.CreateDeposit(ctx, &treasuryv1.CreateDepositRequest{
		Parent: y.collective, RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{cheque.GetName()}, BankDate: y.day(1)},
	}))
	must(treasury.CreateExpense(ctx, y.invoice("2026-1", 30_00)))
	must(bank.ImportBankStatement(ctx, y.csv(y.line(1, "Virement", "5,00"))))
}

// crawl finds the names of all that the collective's owner can list.
func (n *neighbours) crawl(t *testing.T, root string) {
	t.Helper()
	n.names = []string{root}
	done := map[string]bool{}
	for i := 0; i < len(n.names); i++ {
		for m := range methods {
			parent := m.Input().Fields().ByName("parent")
			if !strings.HasPrefix(string(m.Name()), "List") || parent == nil {
				continue
			}
			pattern := patternOf(parent)
			key := fmt.Sprint(m.FullName(), n.names[i])
			if pattern == nil || !pattern.MatchString(n.names[i]) || done[key] {
				continue
			}
			done[key] = true
			req := newMessage(t, m.Input())
			req.Set(parent, protoreflect.ValueOfString(n.names[i]))
			resp := newMessage(t, m.Output())
			if err := n.e.Conn.Invoke(apptest.WithKey(t.Context(), n.owner), methodPath(m), req.Interface(), resp.Interface()); err != nil {
				continue
			}
			for _, name := range namesIn(resp) {
				if strings.HasPrefix(name, root) && !slices.Contains(n.names, name) {
					n.names = append(n.names, name)
				}
			}
		}
	}
}

// namesIn returns the names of the resources in a list's answer.
func namesIn(m protoreflect.Message) (names []string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() || fd.Message() == nil {
			return true
		}
		name := fd.Message().Fields().ByName("name")
		for i := range v.List().Len() {
			if name != nil {
				names = append(names, v.List().Get(i).Message().Get(name).String())
			}
		}
		return true
	})
	return names
}

func methodPath(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) protoreflect.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New()
}

func rulesOf(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

func patternOf(fd protoreflect.FieldDescriptor) *regexp.Regexp {
	if p := rulesOf(fd).GetString().GetPattern(); strings.Contains(p, "collectives/") {
		return regexp.MustCompile(p)
	}
	return nil
}

const (
	slugPattern = "[a-z][a-z0-9-]{1,38}[a-z0-9]"
	uuidPattern = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)

// nameFor returns a name of the collective's that a field takes: one that there is, or else one of the field's form.
func (n *neighbours) nameFor(fd protoreflect.FieldDescriptor) string {
	pattern := patternOf(fd)
	if pattern == nil {
		return ""
	}
	for _, name := range n.names {
		if pattern.MatchString(name) {
			return name
		}
	}
	// The first slug is the collective's, the second the campaign's.
	form := strings.Trim(pattern.String(), "^$")
	form = strings.Replace(form, slugPattern, "vallon", 1)
	form = strings.Replace(form, slugPattern, "avocate", 1)
	form = strings.NewReplacer(uuidPattern, uuid.NewString(), "[0-9a-f-]{36}", uuid.NewString()).Replace(form)
	if regexp.MustCompile(`\(([^()|]+)(\|[^()]*)?\)`).MatchString(form) {
		form = regexp.MustCompile(`\(([^()|]+)(\|[^()]*)?\)`).ReplaceAllString(form, "$1")
	}
	if pattern.MatchString(form) {
		return form
	}
	return ""
}

// request returns a valid request of the method that names what is the collective's; false when the method names nothing of
// a collective.
func (n *neighbours) request(t *testing.T, m protoreflect.MethodDescriptor) (proto.Message, bool) {
	t.Helper()
	req := newMessage(t, m.Input())
	named := n.complete(req, true)
	if body := bodies[string(m.FullName())]; body != "" {
		more := newMessage(t, m.Input()).Interface()
		if err := protojson.Unmarshal([]byte(strings.ReplaceAll(body, "UUID", uuid.NewString())), more); err != nil {
			t.Fatalf("%s: %v", m.FullName(), err)
		}
		proto.Merge(req.Interface(), more)
	}
	return req.Interface(), named
}

// complete fills the fields of a request, and reports whether one of them names something.
func (n *neighbours) complete(m protoreflect.Message, top bool) (named bool) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.IsList() || fd.IsMap() || fd.ContainingOneof() != nil:
		case fd.Kind() == protoreflect.StringKind && (fd.Name() == "name" || fd.Name() == "parent"):
			if name := n.nameFor(fd); name != "" {
				m.Set(fd, protoreflect.ValueOfString(name))
				named = true
			}
		case fd.Kind() == protoreflect.StringKind && fd.Name() == "request_id":
			m.Set(fd, protoreflect.ValueOfString(uuid.NewString()))
		case top && fd.Message() != nil && strings.HasPrefix(string(fd.Message().FullName()), "cagnotte.") && rulesOf(fd).GetRequired():
			inner := m.NewField(fd)
			named = n.complete(inner.Message(), false) || named
			m.Set(fd, inner)
		}
	}
	return named
}

// call makes a call and returns its code.
func call(ctx context.Context, t *testing.T, conn grpc.ClientConnInterface, m protoreflect.MethodDescriptor, req proto.Message) (protoreflect.Message, error) {
	t.Helper()
	resp := newMessage(t, m.Output())
	if !m.IsStreamingServer() {
		return resp, conn.Invoke(ctx, methodPath(m), req, resp.Interface())
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, methodPath(m))
	if err == nil {
		err = stream.SendMsg(req)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	if err == nil {
		err = stream.RecvMsg(resp.Interface())
	}
	return resp, err
}

// mend gives values to the fields that the contract finds missing. What it cannot guess is in bodies.
func mend(validator protovalidate.Validator, req proto.Message) {
	for range 5 {
		invalid, ok := validator.Validate(req).(*protovalidate.ValidationError)
		if !ok {
			return
		}
		for _, v := range invalid.Violations {
			m := req.ProtoReflect()
			path := v.Proto.GetField().GetElements()
			for i, element := range path {
				fd := m.Descriptor().Fields().ByName(protoreflect.Name(element.GetFieldName()))
				if fd == nil {
					break
				}
				if i < len(path)-1 && fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
					m = m.Mutable(fd).Message()
					continue
				}
				setSomething(m, fd)
				break
			}
		}
	}
}

func setSomething(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	var value protoreflect.Value
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if !fd.IsList() {
			m.Mutable(fd)
			return
		}
		m.Mutable(fd).List().AppendMutable()
		return
	case protoreflect.StringKind:
		value = protoreflect.ValueOfString("xx")
		switch pattern := rulesOf(fd).GetString().GetPattern(); {
		case strings.HasPrefix(pattern, "^[0-9]{4}-[0-9]{2}"):
			value = protoreflect.ValueOfString("2026-01-02")
		case strings.Contains(pattern, "[A-Z]{3}"):
			value = protoreflect.ValueOfString("EUR")
		}
	case protoreflect.BytesKind:
		value = protoreflect.ValueOfBytes([]byte("x"))
	case protoreflect.EnumKind:
		value = protoreflect.ValueOfEnum(fd.Enum().Values().Get(1).Number())
	case protoreflect.Int64Kind:
		value = protoreflect.ValueOfInt64(100)
	case protoreflect.Int32Kind:
		value = protoreflect.ValueOfInt32(1)
	default:
		return
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(value)
		return
	}
	m.Set(fd, value)
}

// forEach calls f for each method that is not public, with a request that names what is the collective's.
func (n *neighbours) forEach(t *testing.T, f func(m protoreflect.MethodDescriptor, req func() proto.Message)) {
	t.Helper()
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for m := range methods {
		if access.IsPublic(methodPath(m)) || ownOnly.MatchString(string(m.FullName())) {
			continue
		}
		request := func() (proto.Message, bool) {
			req, named := n.request(t, m)
			mend(validator, req)
			return req, named
		}
		req, named := request()
		if !named {
			// It is about the instance alone, and only the operator's.
			if err := access.Authorize(access.Principal{Name: "x", Grants: []access.Grant{{Collective: "vallon", Role: access.RoleOwner}}}, methodPath(m), req); status.Code(err) == codes.OK && err == nil {
				t.Errorf("%s names nothing, and a member may call it: list it in ownOnly, or name its field name or parent", m.FullName())
			}
			continue
		}
		if err := validator.Validate(req); err != nil {
			t.Errorf("%s: the request that this test makes is not valid, so it shows nothing: add what it needs to bodies: %v", m.FullName(), err)
			continue
		}
		count++
		f(m, func() proto.Message { req, _ := request(); return req })
	}
	if count < 80 {
		t.Errorf("only %d methods", count)
	}
}

// Whoever is a member of another collective finds nothing, whatever the role, the method and the way.
func TestNothingIsFoundByMembersOfAnotherCollective(t *testing.T) {
	n := newNeighbours(t)
	n.e.OverBoth(t, func(t *testing.T, conn grpc.ClientConnInterface) {
		_, overREST := conn.(*apptest.RESTConn)
		n.forEach(t, func(m protoreflect.MethodDescriptor, req func() proto.Message) {
			if overREST && m.IsStreamingServer() {
				return
			}
			for role, key := range n.strangers {
				if _, err := call(apptest.WithKey(t.Context(), key), t, conn, m, req()); status.Code(err) != codes.NotFound {
					t.Errorf("%s as %s: %v", m.FullName(), role, err)
				}
			}
		})
	})
}

// Without the permission table a member of another collective still sees and changes nothing: the database hides it.
func TestTheDatabaseHidesWhatThePermissionTableWouldShow(t *testing.T) {
	n := newNeighbours(t)
	// What was paid is booked by now, and what was refunded too: no row moves by itself any more.
	var before map[string]string
	n.e.Eventually("nothing moves", func() bool {
		_, pending := progress(t, n.e.Conn, "collectives/vallon/campaigns/avocate")
		was := n.rows(t)
		time.Sleep(time.Second)
		before = n.rows(t)
		return pending == 0 && maps.Equal(was, before)
	})
	n.open.Store(true)
	stranger := apptest.WithKey(t.Context(), n.strangers[accessv1.Role_ROLE_OWNER])
	n.forEach(t, func(m protoreflect.MethodDescriptor, req func() proto.Message) {
		asked := req()
		resp, err := call(stranger, t, n.e.Conn, m, asked)
		if err != nil {
			// Whichever it is, nothing was shown: INTERNAL is a row that the database did not let in.
			return
		}
		// The answer must be the one about a collective that there is not.
		nobody := newMessage(t, m.Input()).Interface()
		if err := protojson.Unmarshal([]byte(strings.ReplaceAll(protojson.Format(asked), "collectives/vallon", "collectives/nobody")), nobody); err != nil {
			t.Fatal(err)
		}
		none, err := call(stranger, t, n.e.Conn, m, nobody)
		got, want := protojson.Format(resp.Interface()), strings.ReplaceAll(protojson.Format(none.Interface()), "collectives/nobody", "collectives/vallon")
		if err != nil || strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s answers %v", m.FullName(), got)
		}
	})
	after := n.rows(t)
	for table, hash := range before {
		// The sealer writes these at its own pace.
		if after[table] != hash && table != "ledger.shares" && table != "ledger.balance_keys" {
			t.Errorf("rows of %s have changed", table)
		}
	}

	// The tables themselves, whatever statement reads them.
	for _, c := range []struct {
		scope postgres.Scope
		sees  bool
	}{{postgres.AllScope(), true}, {postgres.ScopeOf("voisins"), false}, {postgres.Scope{}, false}} {
		pool, err := postgres.Open(t.Context(), postgres.Config{URL: n.e.DatabaseURL, DefaultScope: c.scope})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		for _, table := range n.tables(t) {
			var count int
			err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" AS t WHERE t.collective = 'vallon'").Scan(&count)
			if pgErr := new(pgconn.PgError); errors.As(err, &pgErr) && pgErr.Code == "42501" {
				continue // nothing of the table is granted to the service: triggers alone write it
			}
			if err != nil {
				t.Fatal(err)
			}
			if count > 0 && !c.sees {
				t.Errorf("%+v sees %d rows of %s", c.scope, count, table)
			}
		}
	}
}

// tables are those with a column collective.
func (n *neighbours) tables(t *testing.T) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), n.e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `
SELECT table_schema || '.' || table_name
FROM information_schema.columns
WHERE column_name = 'collective'
	AND table_schema NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatal(tables, err)
	}
	return tables
}

// rows are hashes of the collective's rows, by table.
func (n *neighbours) rows(t *testing.T) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), n.e.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	hashes := map[string]string{}
	for _, table := range n.tables(t) {
		var hash string
		err := conn.QueryRow(t.Context(), `SELECT count(*) || md5(coalesce(string_agg((to_jsonb(t) - 'last_used_at')::text, ' ' ORDER BY t::text), ''))
FROM `+table+` AS t WHERE t.collective = 'vallon'`).Scan(&hash)
		if err != nil {
			t.Fatal(err)
		}
		hashes[table] = hash
	}
	return hashes
}
