package reference

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/overview/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	_ "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// The contract that the pages show is the one that the program speaks.
func TestContractIsCurrent(t *testing.T) {
	files, err := readFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("the contract has %d files", len(files))
	}
	for _, f := range files {
		if f.Services().Len() > 0 && f.SourceLocations().Len() == 0 {
			t.Errorf("%s has lost its comments", f.Path())
		}
		linked, err := protoregistry.GlobalFiles.FindFileByPath(f.Path())
		if err != nil {
			t.Errorf("%s: %v", f.Path(), err)
			continue
		}
		if !proto.Equal(bare(f), bare(linked)) {
			t.Errorf("%s differs from the generated code: run make generate", f.Path())
		}
	}
}

func bare(f protoreflect.FileDescriptor) proto.Message {
	d := protodesc.ToFileDescriptorProto(f)
	d.SourceCodeInfo = nil
	return d
}
