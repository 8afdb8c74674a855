package app_test

import (
	"math"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// methods are all that the contract has.
func methods(yield func(protoreflect.MethodDescriptor) bool) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cagnotte.") {
			return true
		}
		for i := range file.Services().Len() {
			all := file.Services().Get(i).Methods()
			for j := range all.Len() {
				if !yield(all.Get(j)) {
					return false
				}
			}
		}
		return true
	})
}

// TestPageSizes walks all requests for a list: none refuses a page that is too large, and each refuses a negative one.
func TestPageSizes(t *testing.T) {
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	violated := func(m protoreflect.Message) bool {
		err, _ := validator.Validate(m.Interface()).(*protovalidate.ValidationError)
		if err == nil {
			return false
		}
		for _, v := range err.Violations {
			if protovalidate.FieldPathString(v.Proto.GetField()) == "page_size" {
				return true
			}
		}
		return false
	}
	lists := 0
	for method := range methods {
		request := method.Input()
		field := request.Fields().ByName("page_size")
		if field == nil {
			continue
		}
		lists++
		for size, refused := range map[int32]bool{math.MinInt32: true, -1: true, 0: false, 1: false, 201: false, math.MaxInt32: false} {
			m := dynamicpb.NewMessage(request)
			m.Set(field, protoreflect.ValueOfInt32(size))
			if violated(m) != refused {
				t.Errorf("%s, page_size %d: refused is %v, want %v", request.FullName(), size, !refused, refused)
			}
		}
	}
	if lists < 10 {
		t.Errorf("only %d lists", lists)
	}
}
