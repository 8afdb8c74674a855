package console

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/download"
	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// auditSection says in words who changed what, with filters and an export.
func auditSection() section {
	const log = "/console/c/{collective}/settings/audit"
	return section{
		name: "audit",
		routes: []route{
			{pattern: "GET " + log, serve: auditList, roles: bookkeepers},
			{pattern: "GET " + log + "/export", serve: auditExport, roles: bookkeepers},
		},
	}
}

func (v *visit) audit() auditv1.AuditServiceClient { return auditv1.NewAuditServiceClient(v.Conn) }

// auditPage lists entries.
type auditPage struct {
	*text.Words
	Back   string
	Filter *form
	// Of is the resource that the list is about; empty for all.
	Of      string
	Entries []auditRow
	Pager   pager
	// CSV and JSONL are the addresses of the list as a file.
	CSV, JSONL string
}

// auditRow is an entry in words.
type auditRow struct {
	Time, Said string
	// Path leads to what was changed, if it has a page. Only lists the entries about it.
	Path, Only string
	Changes    []auditChange
	// Long: there are so many changes that they are folded.
	Long bool
	// Note says by which key, and the number of the seal.
	Note string
}

// foldedChanges is how many fields are shown without asking.
const foldedChanges = 4

// auditChange is a field before and after.
type auditChange struct{ Field, Before, After, Nothing string }

func auditFields(v *visit) []field {
	people := []option{{Label: v.T("audit.everybody")}}
	list, err := v.members().ListMemberships(v.ctx(), &accessv1.ListMembershipsRequest{Parent: v.collective, PageSize: 200})
	if err == nil {
		for _, m := range list.GetMemberships() {
			people = append(people, option{Value: m.GetMember(), Label: m.GetDisplayName()})
		}
	}
	return []field{
		{Name: "actor", Label: "audit.actor", Kind: "select", Options: people},
		{Name: "method", Label: "audit.method", Kind: "select", Options: auditMethods(v)},
		{Name: "start_date", Label: "audit.start", Kind: "day"},
		{Name: "end_date", Label: "audit.end", Kind: "day"},
		{Name: "resource", Kind: "hidden"},
	}
}

// methodPrefix begins the keys of what the methods do; the rest is the method without "cagnotte." and the version.
const methodPrefix = "audit.did-"

// methodKey is the key of what a method does.
func methodKey(method string) string {
	return methodPrefix + strings.NewReplacer("/", ".", " ", "-").Replace(method[strings.LastIndex(method, ".")+1:])
}

// auditMethods are what can be looked for, by what they do.
func auditMethods(v *visit) []option {
	options := []option{{Label: v.T("audit.allMethods")}}
	for _, key := range v.Keys() {
		if name, ok := strings.CutPrefix(key, "audit.find-"); ok {
			options = append(options, option{Value: name, Label: v.T(key)})
		}
	}
	slices.SortFunc(options[1:], func(a, b option) int { return strings.Compare(a.Label, b.Label) })
	return options
}

// auditFilter is what a form asks for, in both requests. Days are the collective's.
type auditFilter struct {
	actor, method, resource string
	start, end              *timestamppb.Timestamp
}

func (v *visit) auditFilter(f *form) (a auditFilter, err error) {
	zone, err := v.zone()
	if err != nil {
		return a, err
	}
	a.actor, a.method, a.resource = f.Value("actor"), f.Value("method"), f.Value("resource")
	if day, err := time.ParseInLocation(time.DateOnly, f.day("start_date"), zone); err == nil {
		a.start = timestamppb.New(day)
	}
	if day, err := time.ParseInLocation(time.DateOnly, f.day("end_date"), zone); err == nil {
		a.end = timestamppb.New(day.AddDate(0, 0, 1))
	}
	return a, nil
}

func auditList(v *visit) error {
	f := v.queryForm(auditFields(v))
	a, err := v.auditFilter(f)
	if err != nil {
		return err
	}
	p := auditPage{Words: v.Words, Back: v.path("/settings"), Filter: f, Of: a.resource}
	query := v.r.URL.Query()
	query.Del("page")
	p.CSV = v.path("/settings/audit/export?" + withQuery(query, "format", "CSV"))
	p.JSONL = v.path("/settings/audit/export?" + withQuery(query, "format", "JSONL"))
	if f.failed() {
		return v.refuse("audit/list", v.T("audit.title"), p)
	}
	list, err := v.audit().ListAuditEntries(v.ctx(), &auditv1.ListAuditEntriesRequest{
		Parent: v.collective, PageToken: v.pageToken(), Actor: a.actor, Method: a.method, Resource: a.resource, StartTime: a.start, EndTime: a.end,
	})
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		return v.refuse("audit/list", v.T("audit.title"), p)
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	for _, e := range list.GetAuditEntries() {
		p.Entries = append(p.Entries, auditView(v, e, zone))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("audit/list", v.T("audit.title"), p)
}

func auditExport(v *visit) error {
	f := v.queryForm(auditFields(v))
	a, err := v.auditFilter(f)
	if err != nil || f.failed() {
		return errNoPage
	}
	return download.Stream(v.w, v.r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
		return v.audit().ExportAuditEntries(ctx, &auditv1.ExportAuditEntriesRequest{
			Parent: v.collective, Format: v.r.URL.Query().Get("format"), Actor: a.actor, Method: a.method, Resource: a.resource,
			StartTime: a.start, EndTime: a.end,
		})
	}, v.Logger)
}

func auditView(v *visit, e *auditv1.AuditEntry, zone *time.Location) auditRow {
	who := e.GetActorDisplayName()
	switch {
	case e.GetByOperator() && who == "":
		who = v.T("audit.operator")
	case who == "":
		who = v.T("audit.somebody")
	}
	row := auditRow{Time: v.DateTime(e.GetCreateTime().AsTime(), zone), Path: resourcePath(v, e.GetResource())}
	if key := methodKey(e.GetMethod()); v.Has(key) {
		row.Said = v.T(key, "who", who)
	} else {
		row.Said = v.T("audit.didOther", "who", who, "method", e.GetMethod())
	}
	row.Only = "?" + withQuery(url.Values{}, "resource", e.GetResource())
	for _, c := range e.GetChanges() {
		row.Changes = append(row.Changes, auditChange{v.auditField(c.GetField()), v.auditValue(c.GetBefore(), zone), v.auditValue(c.GetAfter(), zone), v.T("audit.nothing")})
	}
	row.Long = len(row.Changes) > foldedChanges
	var notes []string
	if kindOf(e.GetCredential()) == "apiKeys" {
		notes = append(notes, v.byKey(e.GetCredential()))
	}
	if n := e.GetNumber(); n > 0 {
		notes = append(notes, v.T("audit.sealed", "number", v.Number(n)))
	} else {
		notes = append(notes, v.T("audit.unsealed"))
	}
	row.Note = strings.Join(notes, " · ")
	return row
}

// auditField is a field's name for people: that of its first part, such as "texts" of "texts.fr.title", with the rest.
func (v *visit) auditField(field string) string {
	if v.Has("audit.field-" + field) {
		return v.T("audit.field-" + field)
	}
	first, rest, _ := strings.Cut(field, ".")
	if v.Has("audit.field-"+first) && rest != "" {
		return v.T("audit.field-"+first) + " (" + strings.ReplaceAll(rest, ".", ", ") + ")"
	}
	return field
}

var (
	amountValue = regexp.MustCompile(`(^|[ ,])(-?\d+)(?:\.(\d+))? ([A-Z]{3})(,|$)`)
	dayValue    = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// auditValue writes a value as people read it: amounts, days, times and known words.
func (v *visit) auditValue(value string, zone *time.Location) string {
	if amountValue.MatchString(value) {
		return amountValue.ReplaceAllStringFunc(value, func(found string) string {
			m := amountValue.FindStringSubmatch(found)
			minor, err := strconv.ParseInt(m[2]+m[3], 10, 64)
			if err != nil {
				return found
			}
			return m[1] + v.Money(&moneyv1.Money{CurrencyCode: m[4], AmountMinor: minor}) + m[5]
		})
	}
	if dayValue.MatchString(value) {
		return v.Day(value)
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return v.DateTime(t, zone)
	}
	if v.Has("audit.word-" + value) {
		return v.T("audit.word-" + value)
	}
	return value
}

// resourcePath is the page of a resource; empty for one that has none.
func resourcePath(v *visit, resource string) string {
	id := lastOf(resource)
	switch kindOf(resource) {
	case "campaigns":
		return v.path("/campaigns/" + id)
	case "donations", "offlineDonations":
		return v.path("/donations/" + id)
	case "refunds":
		return v.path("/refunds/" + id)
	case "recurringDonations":
		return monthlyPath(v, resource)
	case "expenses":
		return v.path("/expenses/" + id)
	case "bankLines":
		return v.path("/bank/lines/" + id)
	case "notices":
		return v.path("/notices/" + id)
	}
	return ""
}
