package audit_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const updateCampaign = "cagnotte.campaigns.v1.CampaignsService/UpdateCampaign"

var (
	camille = access.Principal{
		Name: "collectives/vallon/apiKeys/camille", Key: "collectives/vallon/apiKeys/camille", Member: "collectives/vallon/apiKeys/camille",
		DisplayName: "Camille", Grants: []access.Grant{{Collective: "vallon", Role: access.RoleOwner}},
	}
	operator = access.Principal{
		Name: "instance/apiKeys/root", Key: "instance/apiKeys/root", Member: "instance/apiKeys/root", DisplayName: "Root",
		Grants: []access.Grant{{Role: access.RoleOperator}},
	}
)

// calling is the context of an RPC.
func calling(ctx context.Context, p access.Principal, method string) context.Context {
	return rpc.WithCaller(ctx, rpc.Caller{Principal: p, Method: method, RequestID: "request-1"})
}

func write(ctx context.Context, t *testing.T, pool *pgxpool.Pool, c audit.Change) error {
	t.Helper()
	return postgres.InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error { return audit.WriteTx(ctx, tx, c) })
}

func mustWrite(ctx context.Context, t *testing.T, pool *pgxpool.Pool, c audit.Change) {
	t.Helper()
	if err := write(ctx, t, pool, c); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, server auditv1.AuditServiceServer, as access.Principal, req *auditv1.ListAuditEntriesRequest) (all []*auditv1.AuditEntry) {
	t.Helper()
	for {
		resp, err := server.ListAuditEntries(access.WithPrincipal(t.Context(), as), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp.GetAuditEntries()...)
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return all
		}
	}
}

func TestEntries(t *testing.T) {
	pool := pgtest.New(t)
	server := audit.NewServer(audit.New(audit.Config{Pool: pool}))
	campaign := audit.Change{
		Collective: "vallon", Resource: "collectives/vallon/campaigns/avocate",
		Before: audit.Fields{"title": "Avocate", "goal": "100.00 EUR", "same": "x"},
		After:  audit.Fields{"title": "L'avocate", "goal": "", "same": "x", "deadline": "2026-12-31"},
	}
	mustWrite(calling(t.Context(), camille, "/"+updateCampaign), t, pool, campaign)

	t.Run("say who changed what, from what to what", func(t *testing.T) {
		all := list(t, server, camille, &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon"})
		if len(all) != 1 {
			t.Fatalf("%d entries", len(all))
		}
		e := all[0]
		if e.GetActor() != camille.Key || e.GetActorDisplayName() != "Camille" || e.GetMember() != camille.Member || e.GetCredential() != camille.Key ||
			e.GetByOperator() || e.GetMethod() != updateCampaign || e.GetResource() != campaign.Resource || e.GetRequestId() != "request-1" ||
			time.Since(e.GetCreateTime().AsTime()).Abs() > time.Minute {
			t.Errorf("entry: %v", e)
		}
		var changes []string
		for _, c := range e.GetChanges() {
			changes = append(changes, c.GetField()+": "+c.GetBefore()+" -> "+c.GetAfter())
		}
		if diff := cmp.Diff([]string{"deadline:  -> 2026-12-31", "goal: 100.00 EUR -> ", "title: Avocate -> L'avocate"}, changes); diff != "" {
			t.Error(diff)
		}
		got, err := server.GetAuditEntry(access.WithPrincipal(t.Context(), camille), &auditv1.GetAuditEntryRequest{Name: e.GetName()})
		if err != nil || got.GetName() != e.GetName() {
			t.Errorf("got %v, %v", got, err)
		}
		elsewhere := strings.Replace(e.GetName(), "vallon", "jardin", 1)
		if _, err := server.GetAuditEntry(t.Context(), &auditv1.GetAuditEntryRequest{Name: elsewhere}); errs.Code(err) != codes.NotFound {
			t.Errorf("under another collective: %v", err)
		}
	})
	t.Run("are not written for what the program does by itself, or for a part of another change", func(t *testing.T) {
		mustWrite(t.Context(), t, pool, campaign)
		mustWrite(audit.PartOf(calling(t.Context(), camille, "/"+updateCampaign)), t, pool, campaign)
		if all := list(t, server, camille, &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon"}); len(all) != 1 {
			t.Errorf("%d entries", len(all))
		}
	})
	t.Run("need a caller and a resource", func(t *testing.T) {
		if err := write(calling(t.Context(), access.Principal{}, "/"+updateCampaign), t, pool, campaign); errs.Code(err) != codes.Internal {
			t.Errorf("without a caller: %v", err)
		}
		if err := write(calling(t.Context(), camille, "/"+updateCampaign), t, pool, audit.Change{}); errs.Code(err) != codes.Internal {
			t.Errorf("without a resource: %v", err)
		}
	})
	t.Run("do not name the operator to members", func(t *testing.T) {
		resource := "collectives/vallon/apiKeys/x"
		mustWrite(calling(t.Context(), operator, "/m"), t, pool, audit.Change{Collective: "vallon", Resource: resource})
		req := &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon", Resource: resource}
		seen := list(t, server, camille, req)
		if len(seen) != 1 || seen[0].GetActor() != "" || seen[0].GetActorDisplayName() != "" || seen[0].GetMember() != "" || seen[0].GetCredential() != "" || !seen[0].GetByOperator() {
			t.Errorf("a member sees %v", seen)
		}
		if seen := list(t, server, operator, req); len(seen) != 1 || seen[0].GetActor() != operator.Key {
			t.Errorf("the operator sees %v", seen)
		}
		byName := &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon", Actor: operator.Key}
		if seen := list(t, server, camille, byName); len(seen) != 0 {
			t.Errorf("a member finds the operator's name: %v", seen)
		}
		if seen := list(t, server, operator, byName); len(seen) != 1 {
			t.Errorf("the operator finds %v", seen)
		}
	})
	t.Run("of a command have no actor", func(t *testing.T) {
		ctx := rpc.WithCaller(t.Context(), rpc.Caller{Method: "cagnotte operator"})
		mustWrite(ctx, t, pool, audit.Change{Resource: "instance/apiKeys/x"})
		all := list(t, server, operator, &auditv1.ListAuditEntriesRequest{Parent: "instance"})
		if len(all) != 1 || all[0].GetActor() != "" || all[0].GetMethod() != "cagnotte operator" || !all[0].GetByOperator() {
			t.Errorf("entries: %v", all)
		}
	})
}

func TestListFilters(t *testing.T) {
	pool := pgtest.New(t)
	server := audit.NewServer(audit.New(audit.Config{Pool: pool}))
	for i := range 7 {
		method := "/a"
		if i%2 == 1 {
			method = "/b"
		}
		mustWrite(calling(t.Context(), camille, method), t, pool, audit.Change{
			Collective: "vallon", Resource: fmt.Sprintf("collectives/vallon/campaigns/c%d/donations/d", i%3),
		})
	}
	mustWrite(calling(t.Context(), operator, "/a"), t, pool, audit.Change{Collective: "jardin", Resource: "collectives/jardin"})
	all := list(t, server, camille, &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon"})
	middle := all[3].GetCreateTime()
	for _, c := range []struct {
		name string
		req  *auditv1.ListAuditEntriesRequest
		want int
	}{
		{"all", &auditv1.ListAuditEntriesRequest{}, 7},
		{"pages", &auditv1.ListAuditEntriesRequest{PageSize: 2}, 7},
		{"actor", &auditv1.ListAuditEntriesRequest{Actor: camille.Key}, 7},
		{"another actor", &auditv1.ListAuditEntriesRequest{Actor: "members/x"}, 0},
		{"method", &auditv1.ListAuditEntriesRequest{Method: "b"}, 3},
		{"resource", &auditv1.ListAuditEntriesRequest{Resource: "collectives/vallon/campaigns/c1/donations/d"}, 2},
		{"what is below a resource", &auditv1.ListAuditEntriesRequest{Resource: "collectives/vallon/campaigns/c0"}, 3},
		{"no mere beginning of a name", &auditv1.ListAuditEntriesRequest{Resource: "collectives/vallon/campaigns/c"}, 0},
		{"start, included", &auditv1.ListAuditEntriesRequest{StartTime: middle}, 4},
		{"end, excluded", &auditv1.ListAuditEntriesRequest{EndTime: middle}, 3},
		{"instance", &auditv1.ListAuditEntriesRequest{Parent: "instance"}, 0},
		{"all collectives", &auditv1.ListAuditEntriesRequest{Parent: "instance", IncludeCollectives: true}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.req.GetParent() == "" {
				c.req.Parent = "collectives/vallon"
			}
			names := map[string]bool{}
			got := list(t, server, operator, c.req)
			for _, e := range got {
				names[e.GetName()] = true
			}
			if len(got) != c.want || len(names) != c.want {
				t.Errorf("%d entries, %d of them different; want %d", len(got), len(names), c.want)
			}
		})
	}
	for _, c := range []struct {
		field string
		req   *auditv1.ListAuditEntriesRequest
	}{
		{"include_collectives", &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon", IncludeCollectives: true}},
		{"end_time", &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon", StartTime: middle, EndTime: timestamppb.New(middle.AsTime().Add(-1))}},
	} {
		_, err := server.ListAuditEntries(t.Context(), c.req)
		if e := errs.As(err); e == nil || e.Code != codes.InvalidArgument || e.Fields[0].Field != c.field {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

func TestLongValuesShowWhereTheyDiffer(t *testing.T) {
	pool := pgtest.New(t)
	server := audit.NewServer(audit.New(audit.Config{Pool: pool}))
	long := strings.Repeat("é", 5000)
	many := audit.Fields{}
	for i := range 100 {
		many[fmt.Sprintf("field_%02d", i)] = strings.Repeat("x", 1000)
	}
	mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{
		Collective: "vallon", Resource: "r", Before: audit.Fields{"story": long + "old" + long}, After: audit.Fields{"story": long + "new" + long},
	})
	mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{Collective: "vallon", Resource: "r", After: many})
	mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{Collective: "vallon", Resource: "r", After: audit.Fields{"odd": "a\x00b\xff"}})
	all := list(t, server, camille, &auditv1.ListAuditEntriesRequest{Parent: "collectives/vallon"})
	if odd := all[0].GetChanges()[0].GetAfter(); odd != "a\uFFFDb\uFFFD" {
		t.Errorf("odd: %q", odd)
	}
	if n := len(all[1].GetChanges()); n != 61 || !cmp.Equal(all[1].GetChanges()[n-1].GetField(), "more_fields") {
		t.Errorf("%d fields, the last is %v", n, all[1].GetChanges()[n-1])
	}
	story := all[2].GetChanges()[0]
	if b, a := story.GetBefore(), story.GetAfter(); !strings.Contains(b, "old") || !strings.Contains(a, "new") || len([]rune(a)) > 210 || !strings.HasPrefix(a, "…é") || !strings.HasSuffix(a, "é…") {
		t.Errorf("story: %q -> %q", b, a)
	}
}

// TestAppendOnly asks as the service and as the owner of the tables.
func TestAppendOnly(t *testing.T) {
	pool := pgtest.New(t)
	mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{Collective: "vallon", Resource: "r"})
	for _, statement := range []string{
		`UPDATE audit.entries SET actor = 'x'`, `DELETE FROM audit.entries`, `TRUNCATE audit.entries CASCADE`,
	} {
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), statement); !postgres.Constraint(err, "entries_append_only") {
			t.Errorf("the owner, %s: %v", statement, err)
		}
		if _, err := pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("the service, %s: permitted", statement)
		}
	}
	for _, column := range []string{"id", "created_at", "xid"} {
		_, err := pool.Exec(t.Context(), `INSERT INTO audit.entries (`+column+`, collective, actor, actor_display_name, member, credential, role, method, resource, before, after, request_id)
			SELECT `+column+`, collective, actor, actor_display_name, member, credential, role, method, resource, before, after, request_id FROM audit.entries`)
		if err == nil {
			t.Errorf("the service chooses %s", column)
		}
	}
}

// stream collects what an export sends.
type stream struct {
	grpc.ServerStreamingServer[httpbody.HttpBody]
	ctx    context.Context
	header metadata.MD
	body   bytes.Buffer
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) SetHeader(md metadata.MD) error { s.header = md; return nil }

func (s *stream) Send(b *httpbody.HttpBody) error {
	s.body.Write(b.GetData())
	return nil
}

func TestExport(t *testing.T) {
	pool := pgtest.New(t)
	server := audit.NewServer(audit.New(audit.Config{Pool: pool}))
	mustWrite(calling(t.Context(), camille, "/a"), t, pool, audit.Change{
		Collective: "vallon", Resource: "r", Before: audit.Fields{"title": "=cmd|'/C calc'!A0"}, After: audit.Fields{"title": "two\nrows", "goal": "-5"},
	})
	mustWrite(calling(t.Context(), camille, "/b"), t, pool, audit.Change{Collective: "vallon", Resource: "r"})
	// More than a page.
	if err := postgres.InTx(calling(t.Context(), camille, "/c"), pool, func(ctx context.Context, tx pgx.Tx) error {
		var failed error
		for range 1203 {
			failed = errors.Join(failed, audit.WriteTx(ctx, tx, audit.Change{Collective: "vallon", Resource: "r"}))
		}
		return failed
	}); err != nil {
		t.Fatal(err)
	}
	export := func(t *testing.T, req *auditv1.ExportAuditEntriesRequest) *stream {
		t.Helper()
		s := &stream{ctx: access.WithPrincipal(t.Context(), camille)}
		req.Parent = "collectives/vallon"
		if err := server.ExportAuditEntries(req, s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("CSV has a line for each field, and no formula", func(t *testing.T) {
		s := export(t, &auditv1.ExportAuditEntriesRequest{})
		lines, err := csv.NewReader(&s.body).ReadAll()
		if err != nil || len(lines) != 1+1203+1+2 {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		last := lines[len(lines)-2:]
		if diff := cmp.Diff([][]string{{"goal", "", "'-5"}, {"title", "'=cmd|'/C calc'!A0", "two\nrows"}}, [][]string{last[0][9:], last[1][9:]}); diff != "" {
			t.Error(diff)
		}
		if got := s.header.Get("content-disposition"); len(got) != 1 || got[0] != `attachment; filename="vallon.audit.csv"` {
			t.Errorf("the file is named %q", got)
		}
	})
	t.Run("JSON lines have the entries of the list", func(t *testing.T) {
		s := export(t, &auditv1.ExportAuditEntriesRequest{Format: "JSONL", Method: "a"})
		var line map[string]any
		if err := json.Unmarshal(s.body.Bytes(), &line); err != nil || line["method"] != "a" || len(line["changes"].([]any)) != 2 {
			t.Errorf("%s: %v", s.body.String(), err)
		}
	})
}

// A reader that stops reading keeps its place no longer than an export may take.
func TestAnExportThatNobodyReadsEnds(t *testing.T) {
	pool := pgtest.New(t)
	server := audit.NewServer(audit.New(audit.Config{Pool: pool, LongestExport: 200 * time.Millisecond}))
	s := &stuckStream{stream: stream{ctx: access.WithPrincipal(t.Context(), camille)}, until: make(chan struct{})}
	defer close(s.until)
	ended := make(chan error, 1)
	go func() {
		ended <- server.ExportAuditEntries(&auditv1.ExportAuditEntriesRequest{Parent: "collectives/vallon"}, s)
	}()
	select {
	case err := <-ended:
		if errs.Code(err) != codes.DeadlineExceeded {
			t.Errorf("err = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it holds its place")
	}
}

// stuckStream takes no message until it is closed.
type stuckStream struct {
	stream
	until chan struct{}
}

func (s *stuckStream) Send(*httpbody.HttpBody) error {
	<-s.until
	return nil
}
