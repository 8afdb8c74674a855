package chaos_test

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// seedsFlag has the seeds to play. `make chaos SEEDS=…` sets it.
var seedsFlag = flag.String("seeds", "1-200", "the seeds to play: one, as in 17, or a range, as in 1-5000")

func TestMain(m *testing.M) {
	// Histories mostly wait, so there are more worlds than processors.
	if err := flag.Set("test.parallel", strconv.Itoa(worlds)); err != nil {
		panic(err)
	}
	apptest.Main(m)
}

// seedRange parses seedsFlag.
func seedRange(text string) (first, last uint64, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	if first, err = strconv.ParseUint(from, 10, 64); err == nil {
		last, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || first == 0 || last < first {
		return 0, 0, fmt.Errorf("-seeds %q is neither a number from 1 on nor a range such as 1-5000", text)
	}
	return first, last, nil
}
