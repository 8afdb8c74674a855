package app_test

import (
	"flag"
	"strconv"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

func TestMain(m *testing.M) {
	// Each history of the property test is some seconds of the real program.
	if err := flag.Set("rapid.checks", strconv.Itoa(interleavings)); err != nil {
		panic(err)
	}
	apptest.Main(m)
}
