// Package errstest compares errors of package errs in tests.
package errstest

import (
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// TB is the part of testing.TB that is needed. Tests of testing and of rapid have it.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Want ends the test if err does not have the code and the reason. It fails the test if the fields of err are not exactly
// these, in this order.
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
