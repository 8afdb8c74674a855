package app_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unit reads a unit of systemd's: the values of each setting, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// sizeOf reads a size, as systemd and Go write them: powers of 1024.
func sizeOf(t *testing.T, text string) int64 {
	t.Helper()
	for suffix, factor := range map[string]int64{"G": 1 << 30, "M": 1 << 20, "MiB": 1 << 20, "GiB": 1 << 30} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			if n, err := strconv.ParseInt(number, 10, 64); err == nil {
				return n * factor
			}
		}
	}
	t.Fatalf("%q is no size", text)
	return 0
}

// Only the migration is given the owner's address.
func TestTheUnitsServeAsARoleThatOwnsNothing(t *testing.T) {
	serve, migrate := unit(t, "cagnotte.service"), unit(t, "cagnotte-migrate.service")
	if got := serve["ExecStart"]; !slices.Equal(got, []string{"/usr/local/bin/cagnotte serve"}) || serve["ExecStartPre"] != nil {
		t.Errorf("the service runs %v after %v", got, serve["ExecStartPre"])
	}
	if got := migrate["ExecStart"]; !slices.Equal(got, []string{"/usr/local/bin/cagnotte migrate"}) {
		t.Errorf("the migration runs %v", got)
	}
	if got := serve["EnvironmentFile"]; !slices.Equal(got, []string{"/etc/cagnotte/env"}) {
		t.Errorf("the service reads %v", got)
	}
	if got := migrate["EnvironmentFile"]; !slices.Equal(got, []string{"/etc/cagnotte/owner.env"}) {
		t.Errorf("the migration reads %v", got)
	}
	for _, order := range []string{"Wants", "After"} {
		if !strings.Contains(strings.Join(serve[order], " "), "cagnotte-migrate.service") {
			t.Errorf("the service does not wait for the migration: %s=%v", order, serve[order])
		}
	}
	readme, err := os.ReadFile("../../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"`owner.env`: `DATABASE_URL` of `cagnotte_owner`", "`env`: `DATABASE_URL` of `cagnotte`", "GRANT cagnotte_service TO cagnotte_owner, cagnotte\""} {
		if !strings.Contains(string(readme), said) {
			t.Errorf("deploy/README.md does not say %q", said)
		}
	}
}

func TestTheUnitsBoundMemoryAndTasks(t *testing.T) {
	for _, name := range []string{"cagnotte.service", "cagnotte-migrate.service"} {
		settings := unit(t, name)
		if len(settings["MemoryMax"]) != 1 || len(settings["TasksMax"]) != 1 {
			t.Errorf("%s: MemoryMax=%v, TasksMax=%v", name, settings["MemoryMax"], settings["TasksMax"])
		}
	}
	settings := unit(t, "cagnotte.service")
	limit, ok := strings.CutPrefix(strings.Join(settings["Environment"], " "), "GOMEMLIMIT=")
	if !ok || len(settings["MemoryMax"]) != 1 {
		t.Fatalf("Environment=%v, MemoryMax=%v", settings["Environment"], settings["MemoryMax"])
	}
	// What Go does not count, and what it is late for, needs room below the kernel's limit.
	if soft, hard := sizeOf(t, limit), sizeOf(t, settings["MemoryMax"][0]); soft > hard*9/10 || soft < hard/2 {
		t.Errorf("GOMEMLIMIT=%s with MemoryMax=%s", limit, settings["MemoryMax"][0])
	}
}
