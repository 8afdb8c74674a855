package gateway

import (
	"errors"
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
	"google.golang.org/protobuf/reflect/protoregistry"
)

// parameters has the query parameters of each annotated route, by the HTTP method, a space, and the path template.
// grpc-gateway ignores all others, so that a mistyped `form=` would export everything.
type parameters map[string][]protoreflect.Name

var (
	// pathVariable finds the fields that a template binds, pathVariableOpen their beginning in it.
	pathVariable     = regexp.MustCompile(`\{([a-z_.]+)`)
	pathVariableOpen = regexp.MustCompile(`\{[a-z_.]+=`)
)

// newParameters reads the parameters from all our protos that are linked into the program.
func newParameters() (parameters, error) {
	p := parameters{}
	// What another package of protos declares is not served here.
	var err error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cagnotte.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				err = errors.Join(err, p.add(methods.Get(j)))
			}
		}
		return true
	})
	return p, err
}

// add reads a method's google.api.http rule and its additional bindings.
func (p parameters) add(method protoreflect.MethodDescriptor) error {
	rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		// A binding of another method is a mistake in the protos, which stops the program at its start.
		var verb, template string
		switch pattern := binding.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			verb, template = http.MethodGet, pattern.Get
		case *annotations.HttpRule_Post:
			verb, template = http.MethodPost, pattern.Post
		case *annotations.HttpRule_Patch:
			verb, template = http.MethodPatch, pattern.Patch
		case *annotations.HttpRule_Delete:
			verb, template = http.MethodDelete, pattern.Delete
		default:
			return fmt.Errorf("gateway: %s has a binding of an unforeseen method", method.FullName())
		}
		names := []protoreflect.Name{}
		for i := range method.Input().Fields().Len() {
			name := method.Input().Fields().Get(i).Name()
			// A field that is neither in the body nor bound by the path can be a parameter.
			if binding.GetBody() != "*" && binding.GetBody() != string(name) && !binds(template, name) {
				names = append(names, name)
			}
		}
		p[verb+" "+template] = names
	}
	return nil
}

// methods returns the HTTP methods of a path. An answer 405 must have them in Allow (RFC 9110, 15.5.6), which grpc-gateway
// leaves out.
func (p parameters) methods(path string) []string {
	var found []string
	for route := range p {
		method, template, _ := strings.Cut(route, " ")
		// The variables are taken out of the template, and each star stands for one segment. This is done only for an
		// answer 405, so nothing is prepared.
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

// refuseUnknown answers HTTP 400 to a query parameter that the route does not have, and names it.
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
			// A parameter may name a field within a message, after a point. Only the first name is compared;
			// grpc-gateway finds out about the rest.
			field, _, _ := strings.Cut(key, ".")
			if !slices.Contains(known, protoreflect.Name(field)) {
				writeError(r.Context(), w, status.Errorf(codes.InvalidArgument, "unknown field %q", key))
				return
			}
		}
		next(w, r, path)
	}
}
