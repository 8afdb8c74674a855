package reference

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// contract is a compressed descriptor set of our protos, with their comments, which the descriptors in the program
// lack.
//
//go:embed contract.binpb.gz
var contract []byte

// group is one proto package, which has one page.
type group struct {
	Name     string // "donations"
	Services []service
	Messages []message
	Enums    []enum
}

// Texts are comments of the protos as HTML.
type service struct {
	Name    string
	Text    template.HTML
	Methods []method
}

// Fields are those of the request. Answer is nil when the answer is of a foreign type.
type method struct {
	Name    string
	Summary string
	Text    template.HTML
	Errors  []failure
	Routes  []route
	GRPC    string // "cagnotte.donations.v1.DonationsService/CreateDonation"
	Fields  []field
	Answer  *reference
	Stream  bool
	Curl    string
}

// route is one way to call a method over HTTP.
type route struct{ Verb, Path string }

// A message that is the request of a method is told with the method and not here.
type message struct {
	Name   string
	Text   template.HTML
	Fields []field
}

type enum struct {
	Name   string
	Text   template.HTML
	Blocks []block
	// Reasons: the values are reasons of errors, with codes.
	Reasons bool
}

// block are values under one heading, which is empty for values that stand under none.
type block struct {
	Heading string
	Values  []value
}

type value struct {
	Name string
	Text template.HTML
	// Code and HTTP are what a reason of an error answers over gRPC and over REST; empty for other values.
	Code string
	HTTP int
}

type field struct {
	Name     string
	Type     string
	Link     string // the address of the type, when it is one of the contract's
	Where    string // "path", "query" or "body"; empty outside of requests
	Required bool
	Text     template.HTML
}

// reference is a type of the contract with its address.
type reference struct{ Name, Link string }

// loadContract reads the embedded descriptors into one group for each proto package that has something to tell.
func loadContract() ([]group, error) {
	files, err := readFiles()
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	var groups []group
	for _, f := range files {
		// A package may have several files, which share one page.
		at := slices.IndexFunc(groups, func(g group) bool { return g.Name == packageName(f) })
		if at < 0 {
			at, groups = len(groups), append(groups, group{Name: packageName(f)})
		}
		g := &groups[at]
		// The requests are collected first, so that the messages below can leave them out.
		requests := map[protoreflect.FullName]bool{}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			told := service{Name: string(s.Name()), Text: render(commentOf(s))}
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				requests[m.Input().FullName()] = true
				if told.Methods, err = appendMethod(told.Methods, m); err != nil {
					return nil, fmt.Errorf("reference: %s: %w", m.FullName(), err)
				}
			}
			g.Services = append(g.Services, told)
		}
		for i := range f.Messages().Len() {
			if m := f.Messages().Get(i); !requests[m.FullName()] {
				g.Messages = append(g.Messages, message{
					Name: string(m.Name()), Text: render(commentOf(m)), Fields: fieldsOf(m, nil),
				})
			}
		}
		for i := range f.Enums().Len() {
			g.Enums = append(g.Enums, enumOf(f.Enums().Get(i)))
		}
	}
	return groups, nil
}

// readFiles unpacks the descriptors. What they import stands in the program already.
func readFiles() ([]protoreflect.FileDescriptor, error) {
	z, err := gzip.NewReader(bytes.NewReader(contract))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, err
	}
	var files []protoreflect.FileDescriptor
	for _, described := range set.GetFile() {
		// The registry has the files that the described one imports. The new descriptor is not registered, so it does
		// not clash with the one in the program.
		f, err := protodesc.NewFile(described, protoregistry.GlobalFiles)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b protoreflect.FileDescriptor) int {
		return cmp.Or(strings.Compare(string(a.Package()), string(b.Package())), strings.Compare(a.Path(), b.Path()))
	})
	return files, nil
}

// appendMethod adds what the page tells of a method. The comment is divided into a summary, a text and the errors at
// its end.
func appendMethod(methods []method, m protoreflect.MethodDescriptor) ([]method, error) {
	rules := rulesOf(m)
	if len(rules) == 0 {
		// Only the program itself calls it, such as for Stripe's webhooks.
		return methods, nil
	}
	told := method{
		Name:   string(m.Name()),
		GRPC:   string(m.Parent().FullName()) + "/" + string(m.Name()),
		Stream: m.IsStreamingServer(),
	}
	comment := commentOf(m)
	told.Summary = firstSentence(comment)
	comment, told.Errors = splitErrors(comment)
	told.Text = render(comment)
	// A method may have several addresses.
	for _, r := range rules {
		verb, path := verbAndPath(r)
		told.Routes = append(told.Routes, route{verb, path})
	}
	// Where a field travels is told for the first route, as in the example.
	told.Fields = fieldsOf(m.Input(), rules[0])
	if full := m.Output().FullName(); strings.HasPrefix(string(full), "cagnotte.") {
		told.Answer = &reference{string(m.Output().Name()), linkTo(m.Output())}
	}
	var err error
	told.Curl, err = curlOf(m, rules[0], isPublic(comment))
	return append(methods, told), err
}

// rulesOf returns the HTTP rule of a method and its additional bindings, the first one first.
func rulesOf(m protoreflect.MethodDescriptor) []*annotations.HttpRule {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	return append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
}

// Both are empty for a rule that has neither.
func verbAndPath(r *annotations.HttpRule) (verb, path string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	}
	return "", ""
}

// fieldsOf lists the fields of a message; with a rule, also where in a request each of them stands.
func fieldsOf(m protoreflect.MessageDescriptor, rule *annotations.HttpRule) []field {
	var fields []field
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		told := field{
			Name: string(f.Name()),
			// In a request a field is also required when its constraints refuse the empty value.
			Required: rule != nil && isNeeded(f) || constraintsOf(f).GetRequired(),
			Text:     render(commentOf(f)),
		}
		told.Type, told.Link = typeOf(f)
		if rule != nil {
			told.Where = placeOf(string(f.Name()), rule)
			told.Required = told.Required || told.Where == "path"
		}
		fields = append(fields, told)
	}
	return fields
}

// placeOf says where a field of a request travels.
func placeOf(name string, rule *annotations.HttpRule) string {
	_, path := verbAndPath(rule)
	switch body := rule.GetBody(); {
	// The path binds a field with a pattern or without one.
	case strings.Contains(path, "{"+name+"=") || strings.Contains(path, "{"+name+"}"):
		return "path"
	case body == "*" || body == name:
		return "body"
	}
	return "query"
}

// typeOf names a field's type as JSON has it.
func typeOf(f protoreflect.FieldDescriptor) (name, link string) {
	switch {
	// The keys of maps are strings in JSON.
	case f.IsMap():
		name, link = typeOf(f.MapValue())
		return "object of " + name, link
	case f.Message() != nil:
		switch f.Message().FullName() {
		case "google.protobuf.Timestamp":
			name = "time (RFC 3339)"
		case "google.protobuf.FieldMask":
			name = "field names, with commas"
		default:
			name, link = string(f.Message().Name()), linkTo(f.Message())
		}
	case f.Enum() != nil:
		name, link = string(f.Enum().Name()), linkTo(f.Enum())
	// The JSON mapping of protobuf writes 64-bit numbers as strings, since JavaScript cannot hold them all.
	case f.Kind() == protoreflect.Int64Kind || f.Kind() == protoreflect.Uint64Kind:
		name = "whole number, as a string"
	case f.Kind() == protoreflect.BytesKind:
		name = "bytes, in base64"
	case f.Kind() == protoreflect.BoolKind:
		name = "true or false"
	case f.Kind() == protoreflect.StringKind:
		name = "string"
	default:
		name = "number"
	}
	if f.IsList() {
		name = "list of " + name
	}
	if limit := limitOf(f); limit != "" {
		name += ", " + limit
	}
	return name, link
}

// limitOf says in words what the contract bounds, as far as a caller must know it before the error does.
func limitOf(f protoreflect.FieldDescriptor) string {
	c := constraintsOf(f)
	switch {
	case c.GetString().GetUuid():
		return "a UUID"
	case c.GetString().GetMaxLen() > 0:
		return "up to " + strconv.FormatUint(c.GetString().GetMaxLen(), 10) + " characters"
	case c.GetRepeated().GetMaxItems() > 0:
		return "up to " + strconv.FormatUint(c.GetRepeated().GetMaxItems(), 10)
	case c.GetBytes().GetMaxLen() > 0:
		return "up to " + strconv.FormatUint(c.GetBytes().GetMaxLen(), 10) + " bytes"
	}
	return ""
}

// constraintsOf is nil for a field without constraints; the getters of nil return zero values.
func constraintsOf(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// enumOf tells the values of an enum, each under the last heading before it.
func enumOf(e protoreflect.EnumDescriptor) enum {
	told := enum{
		Name: string(e.Name()), Text: render(commentOf(e)), Blocks: []block{{}},
		Reasons: e.FullName() == errorsv1.ErrorReason(0).Descriptor().FullName(),
	}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		// A comment that stands alone between two values begins a new block.
		if heading := headingOf(v); heading != "" {
			told.Blocks = append(told.Blocks, block{Heading: heading})
		}
		of := value{Name: string(v.Name()), Text: render(commentOf(v))}
		if told.Reasons {
			if v.Number() == 0 {
				continue // never answered
			}
			// The codes come from the program, which answers by the same table.
			reason := errorsv1.ErrorReason(v.Number())
			of.Code, of.HTTP = code.Code(reason.Code()).String(), reason.HTTPStatus()
		}
		last := &told.Blocks[len(told.Blocks)-1]
		last.Values = append(last.Values, of)
	}
	return told
}

// headingOf returns the comment that stands by itself before a descriptor, without its numbers; empty for none.
func headingOf(d protoreflect.Descriptor) string {
	// The last such comment is the nearest to the descriptor.
	detached := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingDetachedComments
	if len(detached) == 0 {
		return ""
	}
	heading, _, _ := strings.Cut(strings.TrimSpace(detached[len(detached)-1]), ":")
	return heading
}

// commentOf returns the comment directly before a descriptor.
func commentOf(d protoreflect.Descriptor) string {
	return strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments)
}

// packageName is the noun of a package: "donations" of cagnotte.donations.v1.
func packageName(f protoreflect.FileDescriptor) string { return string(f.Package().Parent().Name()) }

// linkTo is the address of a message or an enum of ours; empty for any other.
func linkTo(d protoreflect.Descriptor) string {
	if !strings.HasPrefix(string(d.FullName()), "cagnotte.") {
		return ""
	}
	return "/api/" + packageName(d.ParentFile()) + "#" + string(d.Name())
}
