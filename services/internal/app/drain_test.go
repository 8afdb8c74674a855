package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
)

func TestAProgramThatIsToldToEndDrains(t *testing.T) {
	e := apptest.Start(t, apptest.Config{})
	campaign, _ := e.Campaign("vallon")
	e.StopApp()
	getenv := settingsOf(e, map[string]string{"CAGNOTTE_DRAIN_DELAY": "3s"})
	cfg, err := app.FromEnv(getenv)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, cfg, func(*app.App) {}) }()
	status := func(path string) int {
		resp, err := http.Get(e.URL + path)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	e.Eventually("it is ready", func() bool { return status("/readyz") == http.StatusOK })
	stop()
	e.Eventually("it says that it is not ready", func() bool { return status("/readyz") == http.StatusServiceUnavailable })
	if got := status("/v1/" + campaign); got != http.StatusOK {
		t.Errorf("who comes meanwhile gets HTTP %d", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	e.StartApp()
	for _, wrong := range []string{"soon", "-1s", "2m"} {
		if _, err := app.FromEnv(settingsOf(e, map[string]string{"CAGNOTTE_DRAIN_DELAY": wrong})); err == nil {
			t.Errorf("a delay of %q is taken", wrong)
		}
	}
}
