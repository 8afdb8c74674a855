package apptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const stripeMock = "github.com/stripe/stripe-mock"

// A fresh machine has no module cache. Here it is fetched from the cache that this machine has by then.
func TestAPinnedModuleIsFetched(t *testing.T) {
	filled, err := toolModule(stripeMock)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "file://"+filepath.Join(strings.TrimSpace(string(cache)), "cache", "download"))
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-modcacherw") // or only root could remove it again
	fetched, err := toolModule(stripeMock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(fetched, "embedded", "openapi", "spec3.json")); err != nil || fetched == filled {
		t.Errorf("it is in %s: %v", fetched, err)
	}

	t.Run("says why it cannot", func(t *testing.T) {
		t.Setenv("GOMODCACHE", t.TempDir())
		t.Setenv("GOPROXY", "off")
		if _, err := toolModule(stripeMock); err == nil || !strings.Contains(err.Error(), "GOPROXY=off") {
			t.Errorf("err = %v", err)
		}
	})
}
