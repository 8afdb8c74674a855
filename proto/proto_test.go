// Package proto_test keeps the generated code true to the protos, without the generators.
package proto_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
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

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/code"
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
		generated, err := descriptorIn(strings.TrimSuffix(source.Path(), ".proto") + ".pb.go")
		if err != nil {
			t.Errorf("%s: no generated code: %v", source.Path(), err)
			continue
		}
		if diff := cmp.Diff(wire(t, source), generated, protocmp.Transform()); diff != "" {
			t.Errorf("%s: the generated code differs; run `make generate` (-proto +generated):\n%s", source.Path(), diff)
		}
	}
}

// descriptorIn reads the descriptor that generated code holds as a constant, out of its source: so a proto that nobody
// imports here is compared too.
func descriptorIn(path string) (*descriptorpb.FileDescriptorProto, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, declared := range file.Decls {
		constants, ok := declared.(*ast.GenDecl)
		if !ok || constants.Tok != token.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			value := spec.(*ast.ValueSpec)
			if !strings.HasSuffix(value.Names[0].Name, "_rawDesc") {
				continue
			}
			raw, err := text(value.Values[0])
			if err != nil {
				return nil, err
			}
			out := &descriptorpb.FileDescriptorProto{}
			return out, proto.Unmarshal([]byte(raw), out)
		}
	}
	return nil, errors.New("it holds no descriptor")
}

// text is the value of strings that are added up.
func text(e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.BinaryExpr:
		left, err := text(e.X)
		if err != nil {
			return "", err
		}
		right, err := text(e.Y)
		return left + right, err
	}
	return "", fmt.Errorf("%T is no string", e)
}

// wire brings a descriptor through its wire form, so that options read by a compiler and options
// in generated code are the same Go types.
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
