// Package proto_test keeps the generated code true to the protos, without the generators.
package proto_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

func TestGeneratedCodeIsCurrent(t *testing.T) {
	var files []string
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".proto") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 8 {
		t.Fatalf("found the protos %v: %v", files, err)
	}
	// Our protos come from the tree, those of others from their own generated code.
	imports := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		if strings.HasPrefix(path, "cagnotte/") {
			return protocompile.SearchResult{}, protoregistry.NotFound
		}
		desc, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: desc}, err
	})
	compiler := protocompile.Compiler{Resolver: protocompile.CompositeResolver{&protocompile.SourceResolver{}, imports}}
	compiled, err := compiler.Compile(context.Background(), files...)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range compiled {
		generated, err := protoregistry.GlobalFiles.FindFileByPath(source.Path())
		if err != nil {
			t.Errorf("%s: no generated code is linked into this test: %v", source.Path(), err)
			continue
		}
		if diff := cmp.Diff(wire(t, source), wire(t, generated), protocmp.Transform()); diff != "" {
			t.Errorf("%s: the generated code differs; run `make generate` (-proto +generated):\n%s", source.Path(), diff)
		}
	}
}

// wire brings a descriptor through its wire form, so that options read by a compiler and options
// linked into the program are the same Go types.
func wire(t *testing.T, file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(file))
	if err != nil {
		t.Fatal(err)
	}
	out := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}
