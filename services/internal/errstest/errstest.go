// Package errstest is for tests that expect an error of package errs.
package errstest

import (
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// TB is what is needed of a test, be it one of testing or of rapid.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Want ends the test unless err has the code and the reason, and marks it as failed unless exactly these fields are
// named, in this order.
func Want(t TB, err error, code codes.Code, reason errs.Reason, fields ...string) {
	t.Helper()
	e := errs.As(err)
	if e == nil || e.Code != code || e.Reason != reason {
		t.Fatalf("got %v, want %v %s", err, code, reason)
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field)
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Errorf("fields (-want +got)\n%s", diff)
	}
}
