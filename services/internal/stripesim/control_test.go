package stripesim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

func TestControl(t *testing.T) {
	clock := stripesim.NewClock()
	hook := receive(t, secret, nil)
	sim, base := serve(t, stripesim.Config{Clock: clock, FeeDelay: time.Hour, Endpoints: []stripesim.Endpoint{hook.endpoint()}})
	api := newClient(base, testKey, 0)
	do := func(t *testing.T, status int, path, body string) {
		t.Helper()
		if resp, text := raw(t, http.MethodPost, base+"/_sim/"+path, body, "Content-Type", "application/json"); resp.StatusCode != status {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, text)
		}
	}
	show := func(t *testing.T, path string) (rows []map[string]any) {
		t.Helper()
		_, text := raw(t, http.MethodGet, base+"/_sim/"+path, "")
		if err := json.Unmarshal([]byte(text), &rows); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return rows
	}

	t.Run("pays, settles and shows", func(t *testing.T) {
		se := create(t, api, donation(2000))
		do(t, 409, "pay", fmt.Sprintf(`{"session":%q,"card":"4000000000000002"}`, se.ID))
		do(t, 200, "pay", fmt.Sprintf(`{"session":%q}`, se.ID))
		if rows := show(t, "balance_transactions"); len(rows) != 0 {
			t.Errorf("got %v", rows)
		}
		do(t, 200, "fees/settle", `{}`)
		if rows := show(t, "balance_transactions?account="); len(rows) != 1 || rows[0]["net_minor"] != 1945.0 {
			t.Errorf("got %v", rows)
		}
		if rows := show(t, "sessions"); len(rows) != 1 || rows[0]["payment_status"] != "paid" || rows[0]["charge_id"] == "" {
			t.Errorf("got %v", rows)
		}
		do(t, 200, "delivery/wait", `{}`)
		if rows := show(t, "events"); rows[len(rows)-1]["type"] != "charge.updated" || rows[0]["delivered"] != true {
			t.Errorf("got %v", rows)
		}
		do(t, 200, "redeliver", fmt.Sprintf(`{"event":%q}`, sim.Events("")[0].ID))
	})
	t.Run("moves the clock and expires", func(t *testing.T) {
		before := clock.Now()
		do(t, 200, "clock/advance", `{"seconds":3600}`)
		do(t, 409, "clock/advance", `{"seconds":-1}`)
		if moved := clock.Now().Sub(before); moved < time.Hour {
			t.Errorf("moved %s", moved)
		}
		if _, text := raw(t, http.MethodGet, base+"/_sim/clock", ""); !strings.Contains(text, `"now"`) {
			t.Error(text)
		}
		do(t, 200, "expire", fmt.Sprintf(`{"session":%q}`, create(t, api, donation(2000)).ID))
		do(t, 409, "expire", `{"session":"cs_none"}`)
	})
	t.Run("breaks deliveries and the API, and repairs them", func(t *testing.T) {
		do(t, 200, "delivery", `{"drop":true,"delay_seconds":0.5}`)
		do(t, 200, "delivery", `{}`)
		do(t, 200, "faults", `{"method":"GET","status":503}`)
		if _, err := api.Balance.Get(nil); err == nil {
			t.Error("the API is not broken")
		}
		do(t, 200, "faults/clear", `{}`)
		if _, err := api.Balance.Get(nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("refuses what it does not understand", func(t *testing.T) {
		do(t, 400, "pay", `{"sesion":"x"}`)
		do(t, 400, "pay", ``)
		if resp, _ := raw(t, http.MethodPost, base+"/_sim/fees/settle", ""); resp.StatusCode != 415 {
			t.Errorf("a form was accepted: %d", resp.StatusCode)
		}
	})
}
