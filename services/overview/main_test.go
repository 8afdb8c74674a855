package overview

import (
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestStatements(t *testing.T) {
	if n := pgtest.PrepareSQL(t, pgtest.New(t), "."); n < 20 {
		t.Errorf("only %d statements were found", n)
	}
}
