package app_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

// childVariable makes this test binary run the program instead of the tests, with its settings
// from the environment: so the kill test has a process of its own to kill.
const childVariable = "CAGNOTTE_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		serve()
		return
	}
	// Each history of the property test is some seconds of the real program.
	if err := flag.Set("rapid.checks", strconv.Itoa(interleavings)); err != nil {
		panic(err)
	}
	apptest.Main(m)
}

func serve() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := app.FromEnv(os.Getenv)
	if err == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		err = app.Run(ctx, cfg, func(*app.App) {})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
