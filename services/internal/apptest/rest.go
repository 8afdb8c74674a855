package apptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	// It registers the details of errors.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
)

// RESTConn is a gRPC connection over REST. It sends each call as the HTTP request of the contract's annotations, so the
// generated clients and their tests run over REST too. It has no streams.
type RESTConn struct {
	// URL is the service's address, without a path.
	URL string
	// Header is added to every request.
	Header http.Header
	// Client sends the requests. Nil: http.DefaultClient.
	Client *http.Client
}

// Invoke sends one call. An error is the gRPC status in the answer's body.
func (c *RESTConn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	req, err := c.request(ctx, method, args.(proto.Message))
	if err != nil {
		return err
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	// A body that is no status did not come from the service's own error handling, and the test has to see it.
	if resp.StatusCode != http.StatusOK {
		s := &spb.Status{}
		if err := protojson.Unmarshal(body, s); err != nil || s.GetCode() == 0 {
			return fmt.Errorf("%s %s: HTTP %d, and the body is not a status: %s", req.Method, req.URL, resp.StatusCode, body)
		}
		return status.FromProto(s).Err()
	}
	return protojson.Unmarshal(body, reply.(proto.Message))
}

// NewStream returns an error. Streams over REST are tested with plain HTTP.
func (c *RESTConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("apptest: no streams over REST")
}

// pathVariable matches a variable of a path template: {field=pattern}, where the field may be nested.
var pathVariable = regexp.MustCompile(`\{([a-z_.]+)=([^}]*)\}`)

// request builds the HTTP request of a call by its annotation: path variables first, then the body, and what is left as
// the query.
func (c *RESTConn) request(ctx context.Context, method string, args proto.Message) (*http.Request, error) {
	rule, err := httpRule(method)
	if err != nil {
		return nil, err
	}
	// The caller's message must not change, and match clears the fields that the path has.
	args = proto.Clone(args)
	verb, path, err := match(rule, args)
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	var body io.Reader
	switch rule.GetBody() {
	case "":
		flatten(query, "", args.ProtoReflect())
	// All fields that the path does not have are in the body.
	case "*":
		body, err = marshal(args)
	default:
		// One field is the body, and the others are the query.
		field := args.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(rule.GetBody()))
		body, err = marshal(args.ProtoReflect().Get(field).Message().Interface())
		args.ProtoReflect().Clear(field)
		flatten(query, "", args.ProtoReflect())
	}
	if err != nil {
		return nil, err
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, verb, c.URL+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	// WithKey puts the key into the metadata of the call, as for gRPC.
	if md, ok := metadata.FromOutgoingContext(ctx); ok {
		for _, v := range md.Get("authorization") {
			req.Header.Set("Authorization", v)
		}
	}
	return req, nil
}

// httpRule is the annotation google.api.http of a method, which gRPC names /package.Service/Method.
func httpRule(method string) (*annotations.HttpRule, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	rule, ok := proto.GetExtension(desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil, fmt.Errorf("apptest: %s has no REST form", method)
	}
	return rule, nil
}

// match returns the first binding whose path the request fills, and clears the path's fields in the request.
func match(rule *annotations.HttpRule, args proto.Message) (verb, path string, err error) {
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		verb, template := verbAndTemplate(binding)
		filled := true
		path := pathVariable.ReplaceAllStringFunc(template, func(v string) string {
			parts := pathVariable.FindStringSubmatch(v)
			value := textAt(args.ProtoReflect(), strings.Split(parts[1], "."))
			// A star stands for one part of the path, as in the templates of google.api.http.
			pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(parts[2]), `\*`, "[^/]*") + "$"
			filled = filled && regexp.MustCompile(pattern).MatchString(value)
			return strings.ReplaceAll(url.PathEscape(value), "%2F", "/")
		})
		if !filled {
			continue
		}
		// Only the binding that is used clears its fields.
		for _, v := range pathVariable.FindAllStringSubmatch(template, -1) {
			clearAt(args.ProtoReflect(), strings.Split(v[1], "."))
		}
		return verb, path, nil
	}
	return "", "", fmt.Errorf("apptest: the request fills no REST path: %v", args)
}

// verbAndTemplate is empty for a verb that the contract does not use.
func verbAndTemplate(rule *annotations.HttpRule) (verb, template string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	default:
		return "", ""
	}
}

// textAt is the text of a field, which may be in a nested message. The path must exist in the message's type.
func textAt(m protoreflect.Message, path []string) string {
	value := m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(path[0])))
	if len(path) == 1 {
		return value.String()
	}
	return textAt(value.Message(), path[1:])
}

// clearAt clears a field that may be nested. It creates no message on its way.
func clearAt(m protoreflect.Message, path []string) {
	field := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) == 1 {
		m.Clear(field)
	} else if m.Has(field) {
		clearAt(m.Mutable(field).Message(), path[1:])
	}
}

// marshal is the JSON of a body, with the fields' names of the proto.
func marshal(m proto.Message) (io.Reader, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	return bytes.NewReader(raw), err
}

// flatten adds the fields that are set as query parameters. Well-known types are in their JSON form.
func flatten(query url.Values, prefix string, m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := prefix + string(field.Name())
		switch {
		// A repeated field is the parameter several times.
		case field.IsList():
			for i := range value.List().Len() {
				query.Add(name, value.List().Get(i).String())
			}
		// An enumeration is sent by its name.
		case field.Kind() == protoreflect.EnumKind:
			query.Add(name, string(field.Enum().Values().ByNumber(value.Enum()).Name()))
		// In a query a mask has the fields' proto names, not their JSON names.
		case field.Kind() == protoreflect.MessageKind && field.Message().FullName() == "google.protobuf.FieldMask":
			query.Add(name, strings.Join(value.Message().Interface().(*fieldmaskpb.FieldMask).GetPaths(), ","))
		case field.Kind() == protoreflect.MessageKind && strings.HasPrefix(string(field.Message().FullName()), "google.protobuf."):
			raw, _ := protojson.Marshal(value.Message().Interface())
			query.Add(name, strings.Trim(string(raw), `"`))
		case field.Kind() == protoreflect.MessageKind:
			flatten(query, name+".", value.Message())
		default:
			query.Add(name, value.String())
		}
		return true
	})
}
