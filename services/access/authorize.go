package access

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Authorize decides whether p may call the method ("/package.Service/Method") with this request. It reads the permission
// table and the request only, so it can run before the request is validated. For a public method req may be nil.
//
// Errors: UNAUTHENTICATED without a key or session where one is needed; NOT_FOUND about the resource that the request names
// without the right to it, as when it does not exist; FAILED_PRECONDITION (REAUTHENTICATION_REQUIRED) where a fresh proof is
// needed; UNIMPLEMENTED (UNKNOWN_METHOD) for a method without a row in the table.
func Authorize(p Principal, fullMethod string, req proto.Message) error {
	if err := AuthorizeUnread(p, fullMethod); err != nil {
		return err
	}
	r := table[fullMethod]
	if r.own {
		if p.Session == "" {
			return errs.NotFound(r.resource)
		}
		if r.fresh {
			return p.requireFresh()
		}
		return nil
	}
	if r.public || r.anyKey {
		return nil
	}
	name := r.resource
	if named, ok := fieldAt(req, r.field); ok && named != "" {
		name = named
	}
	if !r.allows(p, name) {
		return errs.NotFound(name)
	}
	if r.fresh {
		return p.requireFresh()
	}
	return nil
}

// authorizeNamed decides whether p may call the method about the resource with this name, before there is a request. It
// asks for no fresh proof. Without a method it decides whether p belongs to the resource's collective; without a name it
// allows all. Errors: NOT_FOUND; UNIMPLEMENTED (UNKNOWN_METHOD).
func authorizeNamed(p Principal, fullMethod, name string) error {
	if fullMethod != "" {
		if err := AuthorizeUnread(p, fullMethod); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	r, named := table[fullMethod]
	if !named {
		r = rule{allow: members | operator, field: "name"}
	}
	if r.public || r.anyKey || r.own && p.Session != "" || r.allows(p, name) {
		return nil
	}
	return errs.NotFound(name)
}

// allows reports whether p has a role for the resource with this name: in its collective, or as the operator.
func (r rule) allows(p Principal, name string) bool {
	if p.IsOperator() && r.allow&operator != 0 {
		return true
	}
	collective := collectiveOf(name)
	return r.field != "" && collective != "" && r.allow&grantOf(p.Role(collective)) != 0
}

// AuthorizeUnread is the part of Authorize that needs no request. It lets the server refuse a call without a key before it
// reads the request.
func AuthorizeUnread(p Principal, fullMethod string) error {
	r, ok := table[fullMethod]
	if !ok {
		return errs.New(errorsv1.ErrorReason_UNKNOWN_METHOD, "There is no method %s.", fullMethod)
	}
	if !r.public && p.IsZero() {
		return errs.New(errorsv1.ErrorReason_UNAUTHENTICATED, "This needs an API key or a session: Authorization: Bearer KEY.")
	}
	return nil
}

// IsPublic reports whether everybody may call a method, also without a key.
func IsPublic(fullMethod string) bool { return table[fullMethod].public }

// CollectiveOf returns the id of the collective that a request names; empty when it names none. The name is not validated.
func CollectiveOf(fullMethod string, req proto.Message) string {
	fields := publicFields
	if field := table[fullMethod].field; field != "" {
		fields = []string{field}
	}
	for _, path := range fields {
		if name, ok := fieldAt(req, path); ok {
			return collectiveOf(name)
		}
	}
	return ""
}

// publicFields are where the request of a method without a field in its rule, such as a public one, names what it is about.
var publicFields = []string{"name", "parent"}

func grantOf(r Role) grant {
	switch r {
	case RoleOwner:
		return owner
	case RoleEditor:
		return editor
	case RoleTreasurer:
		return treasurer
	case RoleAuditor:
		return auditor
	case RoleOperator:
		return operator
	}
	return 0
}

// collectiveOf returns the collective's id in a resource name; empty for a name of anything else. The name is not
// validated yet: only its first two segments count.
func collectiveOf(name string) string {
	rest, ok := strings.CutPrefix(name, "collectives/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// fieldAt returns the text at a path of fields. ok is false when the request has no such field: then no member has a right
// to it.
func fieldAt(req proto.Message, path string) (value string, ok bool) {
	if req == nil || path == "" {
		return "", false
	}
	m := req.ProtoReflect()
	for {
		head, rest, more := strings.Cut(path, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(head))
		if fd == nil || fd.IsList() || fd.IsMap() {
			return "", false
		}
		if !more {
			return m.Get(fd).String(), fd.Kind() == protoreflect.StringKind
		}
		if fd.Message() == nil {
			return "", false
		}
		m, path = m.Get(fd).Message(), rest
	}
}
