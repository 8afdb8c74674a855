package wall

import (
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
