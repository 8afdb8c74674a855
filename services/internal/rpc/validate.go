package rpc

import (
	"fmt"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/fieldmask"
)

// validate checks a request against the constraints of the contract. INVALID_ARGUMENT (INVALID_FIELD) names each field
// that violates one. In an update, the fields of the resource that the mask does not name are not checked.
func (c *chain) validate(msg proto.Message) error {
	err := c.validator.Validate(msg)
	if err == nil {
		return nil
	}
	violated, ok := err.(*protovalidate.ValidationError)
	if !ok {
		return errs.Internal(fmt.Errorf("validate %s: %w", msg.ProtoReflect().Descriptor().FullName(), err))
	}
	e := errs.New(errorsv1.ErrorReason_INVALID_FIELD, "A field of the request is invalid.")
	update, isUpdate := updateOf(msg.ProtoReflect())
	for _, v := range violated.Violations {
		if isUpdate && !update.concerns(v.Proto.GetField()) {
			continue
		}
		e.Fields = append(e.Fields, errs.Field{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: v.Proto.GetMessage(),
		})
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// update is a request to change some fields of a resource (https://google.aip.dev/134).
type update struct {
	// resource is the request's field of the resource, and sent what stands there.
	resource protoreflect.Name
	sent     protoreflect.Message
	// paths are the mask's; none for the fields that are set.
	paths []string
}

// updateOf reads an update: a request that has an update_mask, and one message beside it.
func updateOf(m protoreflect.Message) (u update, ok bool) {
	fields := m.Descriptor().Fields()
	mask := fields.ByName("update_mask")
	if mask == nil || mask.Message() == nil || mask.Message().FullName() != "google.protobuf.FieldMask" {
		return u, false
	}
	u.paths = m.Get(mask).Message().Interface().(*fieldmaskpb.FieldMask).GetPaths()
	for i := range fields.Len() {
		if fd := fields.Get(i); fd != mask && fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
			if ok {
				return u, false
			}
			u.resource, u.sent, ok = fd.Name(), m.Get(fd).Message(), true
		}
	}
	return u, ok
}

// concerns reports whether what is wrong at a path is about something that the update changes, or about the request.
func (u update) concerns(path *validate.FieldPath) bool {
	var names []string
	for _, element := range path.GetElements() {
		names = append(names, element.GetFieldName())
	}
	if len(names) < 2 || names[0] != string(u.resource) {
		return true
	}
	names = names[1:]
	if fieldmask.Addresses(names[0]) || slices.Equal(u.paths, []string{"*"}) {
		return true
	}
	if len(u.paths) == 0 {
		fd := u.sent.Descriptor().Fields().ByName(protoreflect.Name(names[0]))
		return fd == nil || u.sent.Has(fd)
	}
	// A path names what is in it, and what it is in: "goal" and "goal.amount_minor" speak of one another.
	at := strings.Join(names, ".") + "."
	return slices.ContainsFunc(u.paths, func(p string) bool {
		return strings.HasPrefix(at, p+".") || strings.HasPrefix(p+".", at)
	})
}
