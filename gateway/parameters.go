package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// parameters knows, for each annotated route, which query parameters mean
// something. grpc-gateway ignores the others, and a mistyped `form=` would silently
// export everything. The key is the method, a space, and the path template.
type parameters map[string][]protoreflect.Name

var (
	// pathVariable finds the fields that a template binds, pathVariableOpen their beginning in it.
	pathVariable     = regexp.MustCompile(`\{([a-z_.]+)`)
	pathVariableOpen = regexp.MustCompile(`\{[a-z_.]+=`)
)

func newParameters() (parameters, error) {
	p := parameters{}
	for _, file := range []protoreflect.FileDescriptor{
		accessv1.File_cagnotte_access_v1_access_proto,
		campaignsv1.File_cagnotte_campaigns_v1_campaigns_proto,
		collectivesv1.File_cagnotte_collectives_v1_collectives_proto,
		connectv1.File_cagnotte_connect_v1_connect_proto,
		disputesv1.File_cagnotte_disputes_v1_disputes_proto,
		donationsv1.File_cagnotte_donations_v1_donations_proto,
		exportsv1.File_cagnotte_exports_v1_exports_proto,
		ledgerv1.File_cagnotte_ledger_v1_ledger_proto,
		noticesv1.File_cagnotte_notices_v1_notices_proto,
		payoutsv1.File_cagnotte_payouts_v1_payouts_proto,
		recurringv1.File_cagnotte_recurring_v1_recurring_proto,
		refundsv1.File_cagnotte_refunds_v1_refunds_proto,
		treasuryv1.File_cagnotte_treasury_v1_treasury_proto,
		webhooksv1.File_cagnotte_webhooks_v1_webhooks_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if err := p.add(methods.Get(j)); err != nil {
					return nil, err
				}
			}
		}
	}
	return p, nil
}

// add reads a method's google.api.http rule and its additional bindings.
func (p parameters) add(method protoreflect.MethodDescriptor) error {
	rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		var verb, template string
		switch pattern := binding.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			verb, template = http.MethodGet, pattern.Get
		case *annotations.HttpRule_Post:
			verb, template = http.MethodPost, pattern.Post
		case *annotations.HttpRule_Patch:
			verb, template = http.MethodPatch, pattern.Patch
		default:
			return fmt.Errorf("gateway: %s has a binding of an unforeseen method", method.FullName())
		}
		names := []protoreflect.Name{}
		for i := range method.Input().Fields().Len() {
			name := method.Input().Fields().Get(i).Name()
			if binding.GetBody() != "*" && binding.GetBody() != string(name) && !binds(template, name) {
				names = append(names, name)
			}
		}
		p[verb+" "+template] = names
	}
	return nil
}

// methods returns what a path takes, for the Allow header that a 405 must have
// (RFC 9110, 15.5.6) and that grpc-gateway leaves out.
func (p parameters) methods(path string) []string {
	var found []string
	for route := range p {
		method, template, _ := strings.Cut(route, " ")
		pattern := regexp.QuoteMeta(pathVariableOpen.ReplaceAllString(strings.ReplaceAll(template, "}", ""), ""))
		matched, err := regexp.MatchString("^"+strings.ReplaceAll(pattern, `\*`, "[^/:]+")+"$", path)
		if err == nil && matched && !slices.Contains(found, method) {
			found = append(found, method)
		}
	}
	slices.Sort(found)
	return found
}

// binds reports whether the path fills the whole field.
func binds(template string, name protoreflect.Name) bool {
	for _, variable := range pathVariable.FindAllStringSubmatch(template, -1) {
		if variable[1] == string(name) {
			return true
		}
	}
	return false
}

// refuseUnknown answers 400, naming the parameter, where one means nothing.
func (p parameters) refuseUnknown(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, path map[string]string) {
		pattern, _ := runtime.HTTPPattern(r.Context())
		known, ok := p[r.Method+" "+pattern.String()]
		query, err := url.ParseQuery(r.URL.RawQuery)
		if !ok || err != nil {
			writeError(r.Context(), w, status.Error(codes.InvalidArgument, "the query cannot be read"))
			return
		}
		for key := range query {
			field, _, _ := strings.Cut(key, ".")
			if !slices.Contains(known, protoreflect.Name(field)) {
				writeError(r.Context(), w, status.Errorf(codes.InvalidArgument, "unknown field %q", key))
				return
			}
		}
		next(w, r, path)
	}
}
