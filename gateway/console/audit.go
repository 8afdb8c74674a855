package console

import (
	"cmp"
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
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// auditSection says in words who changed what, with filters and an export: in a collective, and for the operator everywhere.
func auditSection() section {
	const (
		log     = "/console/c/{collective}/settings/audit"
		siteLog = instancePath + "/audit"
	)
	return section{
		name: "audit",
		routes: []route{
			{pattern: "GET " + log, serve: auditList, roles: bookkeepers},
			{pattern: "GET " + log + "/export", serve: auditExport, roles: bookkeepers},
			{pattern: "GET " + siteLog, serve: auditList, roles: operators},
			{pattern: "GET " + siteLog + "/export", serve: auditExport, roles: operators},
		},
	}
}

func (v *visit) audit() auditv1.AuditServiceClient { return auditv1.NewAuditServiceClient(v.Conn) }

// auditPage lists entries.
type auditPage struct {
	*text.Words
	// Back leads to the settings; empty for the operator's log.
	Back, Lead string
	Filter     *form
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
	// Path leads to what was changed, if it has a page. Only lists the entries about it, and Theirs those of who did it.
	Path, Only, Theirs string
	// Whose is the collective, or the site, in the operator's log.
	Whose   string
	Changes []auditChange
	// Long: there are so many changes that they are folded.
	Long bool
	// Note says by which key, and the number of the seal.
	Note string
}

// foldedChanges is how many fields are shown without asking.
const foldedChanges = 4

// auditChange is a field before and after.
type auditChange struct{ Field, Before, After, Nothing string }

// auditFields are the filters. The operator chooses the collective, and then among its members too. Stranger is who is chosen
// and is not, or not any more, among the members; empty for nobody.
func auditFields(v *visit) (fields []field, stranger string, err error) {
	people := []option{{Label: v.T("audit.everybody")}}
	who := field{Name: "actor", Label: "audit.actor", Kind: "select"}
	fields = []field{
		{Name: "method", Label: "audit.method", Kind: "select", Options: auditMethods(v)},
		{Name: "start_date", Label: "audit.start", Kind: "day"},
		{Name: "end_date", Label: "audit.end", Kind: "day"},
		{Name: "resource", Kind: "hidden"},
	}
	parents := []string{v.scope()}
	if v.collective == "" {
		of, err := whoseField(v, option{Label: v.T("audit.everywhere")}, option{Value: instanceName, Label: v.T("shell.instance")})
		if err != nil {
			return nil, "", err
		}
		fields = append([]field{of}, fields...)
		who.Hint = "audit.actorHint"
		if id := v.r.URL.Query().Get("of"); id != "" && id != instanceName {
			parents = append(parents, "collectives/"+id)
		}
	}
	listed := map[string]bool{"": true}
	for _, parent := range parents {
		list, err := v.members().ListMemberships(v.ctx(), &accessv1.ListMembershipsRequest{Parent: parent, PageSize: 200})
		if err != nil {
			continue // the list is there without the names
		}
		for _, m := range list.GetMemberships() {
			if !listed[m.GetMember()] {
				people, listed[m.GetMember()] = append(people, option{Value: m.GetMember(), Label: m.GetDisplayName()}), true
			}
		}
	}
	// A link to what one person or key did: the filter keeps it, whoever else can be chosen. nameActor finds the name.
	if chosen := v.r.URL.Query().Get("actor"); !listed[chosen] {
		label := v.T("audit.formerMember")
		if kindOf(chosen) == "apiKeys" {
			label = v.T("audit.aKey")
		}
		stranger, people = chosen, append(people, option{Value: chosen, Label: label})
	}
	who.Options = people
	return append([]field{who}, fields...), stranger, nil
}

// nameActor names a stranger in the filter as the entries do.
func nameActor(f *form, stranger string, entries []*auditv1.AuditEntry) {
	if stranger == "" {
		return
	}
	at := slices.IndexFunc(entries, func(e *auditv1.AuditEntry) bool { return e.GetActor() == stranger && e.GetActorDisplayName() != "" })
	if at < 0 {
		return
	}
	people := f.fields[0].Options
	people[len(people)-1].Label = entries[at].GetActorDisplayName()
}

// whoseField chooses a collective, after what else there is to choose, by its id. The service lists 200 at once: with more of
// them the id is typed.
func whoseField(v *visit, others ...option) (field, error) {
	of := field{Name: "of", Label: "instance.of", Kind: "select", Options: others}
	list, err := v.collectives().ListCollectives(v.ctx(), &collectivesv1.ListCollectivesRequest{PageSize: 200})
	if err != nil {
		return of, err
	}
	if list.GetNextPageToken() != "" {
		return field{Name: "of", Label: "instance.of", Hint: "instance.ofHint", Mono: true, Max: 40}, nil
	}
	for _, c := range list.GetCollectives() {
		of.Options = append(of.Options, option{Value: lastOf(c.GetName()), Label: c.GetDisplayName()})
	}
	return of, nil
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
		name, ok := strings.CutPrefix(key, "audit.find-")
		if !ok && v.collective == "" {
			name, ok = strings.CutPrefix(key, "audit.findSite-")
		}
		if ok {
			options = append(options, option{Value: name, Label: v.T(key)})
		}
	}
	slices.SortFunc(options[1:], func(a, b option) int { return strings.Compare(a.Label, b.Label) })
	return options
}

// auditFilter is what a form asks for, in both requests. Days are those of the collective's zone, in the operator's log of
// UTC.
type auditFilter struct {
	parent                  string
	everywhere              bool
	actor, method, resource string
	start, end              *timestamppb.Timestamp
	zone                    *time.Location
}

func (v *visit) auditFilter(f *form) (a auditFilter, err error) {
	zone, err := v.zone()
	if err != nil {
		return a, err
	}
	a.parent, a.zone = v.scope(), zone
	if v.collective == "" {
		switch of := f.Value("of"); of {
		case "":
			a.everywhere = true
		case instanceName:
		default:
			a.parent = "collectives/" + of
		}
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
	fields, stranger, err := auditFields(v)
	if err != nil {
		return err
	}
	f := v.queryForm(fields)
	a, err := v.auditFilter(f)
	if err != nil {
		return err
	}
	title := v.T("audit.title")
	p := auditPage{Words: v.Words, Filter: f, Of: a.resource, Back: v.settingsPath(""), Lead: v.T("audit.lead")}
	if v.collective == "" {
		title, p.Back, p.Lead = v.T("audit.siteTitle"), "", v.T("audit.siteLead")
	}
	query := v.r.URL.Query()
	query.Del("page")
	p.CSV = v.settingsPath("/audit/export?" + withQuery(query, "format", "CSV"))
	p.JSONL = v.settingsPath("/audit/export?" + withQuery(query, "format", "JSONL"))
	if f.failed() {
		return v.refuse("audit/list", title, p)
	}
	list, err := v.audit().ListAuditEntries(v.ctx(), &auditv1.ListAuditEntriesRequest{
		Parent: a.parent, IncludeCollectives: a.everywhere, PageToken: v.pageToken(),
		Actor: a.actor, Method: a.method, Resource: a.resource, StartTime: a.start, EndTime: a.end,
	})
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		return v.refuse("audit/list", title, p)
	}
	nameActor(f, stranger, list.GetAuditEntries())
	for _, e := range list.GetAuditEntries() {
		row := auditView(v, e, a.zone)
		if v.collective == "" {
			row.Whose = v.T("shell.instance")
			if id := collectiveOfName(e.GetName()); id != "" {
				row.Whose = id
			}
		}
		p.Entries = append(p.Entries, row)
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("audit/list", title, p)
}

func auditExport(v *visit) error {
	fields, _, err := auditFields(v)
	if err != nil {
		return err
	}
	f := v.queryForm(fields)
	a, err := v.auditFilter(f)
	if err != nil || f.failed() {
		return errNoPage
	}
	return download.Stream(v.w, v.r, func(ctx context.Context) (grpc.ServerStreamingClient[httpbody.HttpBody], error) {
		return v.audit().ExportAuditEntries(ctx, &auditv1.ExportAuditEntriesRequest{
			Parent: a.parent, IncludeCollectives: a.everywhere, Format: v.r.URL.Query().Get("format"),
			Actor: a.actor, Method: a.method, Resource: a.resource, StartTime: a.start, EndTime: a.end,
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
	row := auditRow{Time: v.DateTime(e.GetCreateTime().AsTime(), zone), Path: resourcePath(e.GetResource())}
	// In its own log a collective is where the reader is, and the operator's page of it is not for members.
	if v.collective != "" && kindOf(e.GetResource()) == "collectives" {
		row.Path = ""
	}
	if key := methodKey(e.GetMethod()); v.Has(key) {
		row.Said = v.T(key, "who", who)
	} else {
		row.Said = v.T("audit.didOther", "who", who, "method", e.GetMethod())
	}
	row.Only = "?" + withQuery(url.Values{}, "resource", e.GetResource())
	if member := cmp.Or(e.GetMember(), e.GetActor()); member != "" {
		row.Theirs = "?" + withQuery(url.Values{}, "actor", member)
	}
	for _, c := range e.GetChanges() {
		said := func(value string) string { return v.auditValue(kindOf(e.GetResource()), c.GetField(), value, zone) }
		row.Changes = append(row.Changes, auditChange{v.auditField(c.GetField()), said(c.GetBefore()), said(c.GetAfter()), v.T("audit.nothing")})
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

// auditField is a field's name for people: "texts.fr.title" is the title in French, and "stages.appeal" a stage.
func (v *visit) auditField(field string) string {
	if v.Has("audit.field-" + field) {
		return v.T("audit.field-" + field)
	}
	first, rest, _ := strings.Cut(field, ".")
	language, last, _ := strings.Cut(rest, ".")
	name := "audit.field-" + cmp.Or(last, first)
	switch {
	case v.Has("audit.language-"+language) && v.Has(name):
		return v.T(name) + " (" + v.T("audit.language-"+language) + ")"
	case v.Has("audit.field-"+first) && rest != "":
		return v.T("audit.field-" + first)
	}
	return field
}

var (
	amountValue = regexp.MustCompile(`(^|[ ,])(-?\d+)(?:\.(\d+))? ([A-Z]{3})(,|$)`)
	dayValue    = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	hashValue   = regexp.MustCompile(`^[0-9a-f]{40,}$`)
)

// auditValue writes a value as people read it: amounts, days, times, sizes and known words. A word of one kind of resource
// goes before that of all.
func (v *visit) auditValue(kind, field, value string, zone *time.Location) string {
	switch {
	case v.Has("audit.word-" + kind + "." + value):
		return v.T("audit.word-" + kind + "." + value)
	case field == "language" && v.Has("audit.language-"+value):
		return v.T("audit.language-" + value)
	case kindOf(value) == "pendingChanges":
		return v.T("audit.word-waits")
	case hashValue.MatchString(value):
		return value[:8] + "…"
	}
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

// resourcePath is the page of a resource; empty for one that has none. The operator's log has those of all collectives.
func resourcePath(resource string) string {
	id, at := lastOf(resource), instancePath
	if collective := collectiveOfName(resource); collective != "" {
		at = "/console/c/" + collective
	}
	switch kindOf(resource) {
	case "collectives":
		return instancePath + "/collectives/" + id
	case "applications":
		return at + "/applications/" + id
	case "ledgerVerifications":
		return at + "/verification/" + id
	case "campaigns":
		return at + "/campaigns/" + id
	case "donations", "offlineDonations":
		return at + "/donations/" + id
	case "refunds":
		return at + "/refunds/" + id
	case "recurringDonations":
		return monthlyPath(resource)
	case "expenses":
		return at + "/expenses/" + id
	case "bankLines":
		return at + "/bank/lines/" + id
	case "notices":
		return at + "/notices/" + id
	}
	return ""
}

// collectiveOfName is the id of the collective that a name is of, or below; empty for the instance's.
func collectiveOfName(name string) string {
	rest, ok := strings.CutPrefix(name, "collectives/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}
