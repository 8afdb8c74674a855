// Package fieldmask applies the update_mask of an update (https://google.aip.dev/134).
//
// An empty mask means the fields that the request sets; "*" means all that can be
// written. A path may lead into a message ("goal.amount_minor"), which is how the
// REST gateway says which members a JSON body had; lists and maps are replaced
// whole. "name" and "etag" may stand in a mask, because they come along in such a
// body: they say which resource is meant, and are not changes.
//
// A path that does not exist, or that only the service writes, is refused and not
// skipped: who tries to set a campaign's state by an update must hear that it did
// not happen.
package fieldmask

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// addressing are the fields that tell what is updated.
var addressing = []string{"name", "etag"}

// Apply copies from src to dst, two messages of one type, the fields that the mask
// names. Writable are the top-level fields that an update may change. A refused
// path is INVALID_ARGUMENT on update_mask, and dst may then be half changed.
func Apply(dst, src proto.Message, mask *fieldmaskpb.FieldMask, writable ...string) error {
	to, from := dst.ProtoReflect(), src.ProtoReflect()
	for _, path := range paths(from, mask, writable) {
		head, _, _ := strings.Cut(path, ".")
		if slices.Contains(addressing, path) {
			continue
		}
		if !slices.Contains(writable, head) {
			if from.Descriptor().Fields().ByName(protoreflect.Name(head)) != nil {
				return errs.Invalid("update_mask", "%q cannot be changed by an update", path)
			}
			return errs.Invalid("update_mask", "%q is not a field", path)
		}
		if !copyPath(to, from, path) {
			return errs.Invalid("update_mask", "%q is not a field", path)
		}
	}
	return nil
}

func paths(from protoreflect.Message, mask *fieldmaskpb.FieldMask, writable []string) []string {
	if len(mask.GetPaths()) > 0 && !slices.Equal(mask.GetPaths(), []string{"*"}) {
		return mask.GetPaths()
	}
	all := len(mask.GetPaths()) > 0
	var named []string
	for _, name := range writable {
		if fd := from.Descriptor().Fields().ByName(protoreflect.Name(name)); all || from.Has(fd) {
			named = append(named, name)
		}
	}
	return named
}

// copyPath sets the field at the path in to as it is in from: absent there, absent here.
func copyPath(to, from protoreflect.Message, path string) bool {
	head, rest, more := strings.Cut(path, ".")
	fd := from.Descriptor().Fields().ByName(protoreflect.Name(head))
	if fd == nil {
		return false
	}
	if more {
		if fd.Message() == nil || fd.IsList() || fd.IsMap() {
			return false
		}
		return copyPath(to.Mutable(fd).Message(), from.Get(fd).Message(), rest)
	}
	if from.Has(fd) {
		to.Set(fd, from.Get(fd))
	} else {
		to.Clear(fd)
	}
	return true
}
