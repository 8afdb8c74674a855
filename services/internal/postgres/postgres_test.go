package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// awayURL is an address where nothing listens.
func awayURL(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "postgres://cagnotte:hunter2@" + listener.Addr().String() + "/cagnotte?sslmode=disable"
}

func TestOpen(t *testing.T) {
	ctx := testContext(t)

	for _, test := range []struct{ rule, url string }{
		{"refuses an empty URL", ""},
		{"refuses a URL that does not parse, without repeating the password", "postgres://cagnotte:hun%ter2@host/db"},
		{"refuses a wrong port, without repeating the password", "postgres://cagnotte:hunter2@host:port/db"},
		{"refuses a wrong option, without repeating the password", "postgres://cagnotte:hunter2@host/db?sslmode=perhaps"},
		{"refuses another scheme, without repeating the password", "mysql://cagnotte:hunter2@host/db"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			_, err := postgres.Open(ctx, postgres.Config{URL: test.url})
			if err == nil {
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), "DATABASE_URL") {
				t.Errorf("the error does not name the setting: %v", err)
			}
			if strings.Contains(err.Error(), "ter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}

	t.Run("opens while the database is away, and says UNAVAILABLE later", func(t *testing.T) {
		pool, err := postgres.Open(ctx, postgres.Config{URL: awayURL(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if err := postgres.Error(pool.Ping(ctx)); errs.Code(err) != codes.Unavailable {
			t.Errorf("err = %v, want UNAVAILABLE", err)
		}
	})

	t.Run("works as the service's role, with limits on time", func(t *testing.T) {
		pool, err := postgres.Open(ctx, postgres.Config{URL: pgtest.NewURL(t), MaxConns: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if pool.Config().MaxConns != 3 {
			t.Errorf("the pool has %d connections", pool.Config().MaxConns)
		}
		for setting, want := range map[string]string{
			"role":                                "cagnotte_service",
			"statement_timeout":                   "30s",
			"lock_timeout":                        "5s",
			"idle_in_transaction_session_timeout": "1min",
			"jit":                                 "off",
			"application_name":                    "cagnotte",
			"timezone":                            "UTC",
		} {
			var got string
			if err := pool.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s = %s, want %s", setting, got, want)
			}
		}
	})

	t.Run("has twenty-three connections, or as many as the URL says", func(t *testing.T) {
		for _, test := range []struct {
			parameters string
			given      int32
			want       int32
		}{
			{"", 0, 23},
			{"", 3, 3},
			{"&pool_max_conns=7", 0, 7},
			{"&pool_max_conns=7", 3, 7},
		} {
			pool, err := postgres.Open(ctx, postgres.Config{URL: pgtest.NewURL(t) + test.parameters, MaxConns: test.given})
			if err != nil {
				t.Fatal(err)
			}
			if got := pool.Config().MaxConns; got != test.want {
				t.Errorf("%q and %d: %d connections, want %d", test.parameters, test.given, got, test.want)
			}
			if err := pool.Ping(ctx); err != nil {
				t.Errorf("%q: %v", test.parameters, err)
			}
			pool.Close()
		}
	})

	t.Run("lets the URL override a limit", func(t *testing.T) {
		pool, err := postgres.Open(ctx, postgres.Config{URL: pgtest.NewURL(t) + "&lock_timeout=7s"})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		var got string
		if err := pool.QueryRow(ctx, "SHOW lock_timeout").Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != "7s" {
			t.Errorf("lock_timeout = %s", got)
		}
	})
}

func TestEverySQLConstantPrepares(t *testing.T) {
	const services = "../.."
	if found := pgtest.PrepareSQL(t, pgtest.New(t), services); found == 0 {
		t.Error("there is not one SQL constant: has the naming changed?")
	} else {
		t.Logf("%d statements prepared", found)
	}
}

func TestErrorKeepsTheCauseOutOfTheMessage(t *testing.T) {
	cause := errors.New("secret of the database")
	classified := errs.As(postgres.Error(cause))
	if classified.Code != codes.Internal || strings.Contains(classified.Message, "secret") {
		t.Errorf("got %+v", classified)
	}
	if !errors.Is(classified, cause) {
		t.Error("the cause is lost to the log")
	}
}

// unindexed are the statements that evaluate a condition on rows rather than in an index, and why that is enough.
var unindexed = map[string]string{
	"donations.expireAbandonedSQL":  "the index alone has few rows: donations without a page, which this statement ends",
	"donations.unbookedAccountsSQL": "an index finds the payments that are due or their donations; statistics decide which is read first",
	"ledger.verifyUnsealedSQL":      "an index finds the seal of each transaction instead of all seals of the book",
	"refunds.refundableSQL":         "an index finds the payments of a donation, which are few",
}

func TestPoliciesLeaveConditionsToIndexes(t *testing.T) {
	pgtest.IndexedSQL(t, pgtest.New(t), "../..", unindexed)
}
