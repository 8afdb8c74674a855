// Package fieldmask applies the update_mask of an update (https://google.aip.dev/134).
//
//	mask               what an update changes
//	absent or empty    the writable fields that the request sets
//	"*"                all writable fields; those that are not set are cleared
//	"goal"             this field; it is cleared when it is not set
//	"goal.currency"    this part of a field, and no other part
//
// The REST gateway makes the mask from the members of the JSON body when the request has none. Lists and maps are
// replaced as a whole. A mask may name "name" and "etag": they say which resource is meant and change nothing.
//
// A path that is unknown, or that no update can change, is refused. Otherwise a caller who tries to set the state of
// a campaign would believe that it was set.
//
// Package rpc reads masks too: it validates only what an update changes.
package fieldmask

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Addresses reports whether a field of a resource says which one is meant. An update never changes it.
func Addresses(field string) bool { return field == "name" || field == "etag" }

// Apply copies the fields that the mask names from src to dst, which are two messages of one type. Writable are the
// top-level fields that an update may change.
//
// A refused path is INVALID_ARGUMENT on update_mask. Some fields of dst may be changed by then.
func Apply(dst, src proto.Message, mask *fieldmaskpb.FieldMask, writable ...string) error {
	to, from := dst.ProtoReflect(), src.ProtoReflect()
	for _, path := range paths(from, mask, writable) {
		head, _, _ := strings.Cut(path, ".")
		if Addresses(path) {
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

// copyPath sets the field at the path, or clears it when from does not have it. It is false for a path that is unknown.
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
