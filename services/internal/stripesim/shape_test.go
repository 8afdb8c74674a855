package stripesim_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/cagnotte/cagnotte/services/internal/stripesim"
	"github.com/stripe/stripe-go/v76"
)

// notInClient are members that real answers have and stripe-go v76 leaves out.
var notInClient = map[string]bool{
	"charge.dispute": true, "charge.order": true, "charge.destination": true, "checkout.session.saved_payment_method_options": true,
	"payment_intent.source": true, "payment_method.card.generated_from": true, "list.object": true, "dispute.balance_transaction": true,
	"subscription.plan": true, "subscription.quantity": true, "subscription.invoice_settings": true,
}

// decimalText are numbers that Stripe writes as text and stripe-go v76 reads as such.
var decimalText = map[string]bool{
	"price.unit_amount_decimal": true, "plan.amount_decimal": true, "line_item.unit_amount_excluding_tax": true,
}

// checkShape compares a JSON value with the type that stripe-go decodes it into: every member must exist
// there, with a value of its kind.
func checkShape(t *testing.T, path string, v any, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	wrong := func() { t.Errorf("%s: %T does not fit %s", path, v, typ) }
	switch v := v.(type) {
	case nil:
	case string:
		if k := typ.Kind(); k != reflect.String && k != reflect.Struct && !decimalText[path] { // a struct: an id, not expanded
			wrong()
		}
	case bool:
		if typ.Kind() != reflect.Bool {
			wrong()
		}
	case float64:
		if !typ.ConvertibleTo(reflect.TypeFor[float64]()) {
			wrong()
		}
	case []any:
		if typ.Kind() != reflect.Slice {
			wrong()
			return
		}
		for _, e := range v {
			checkShape(t, path+"[]", e, typ.Elem())
		}
	case map[string]any:
		if typ.Kind() == reflect.Map || typ == reflect.TypeFor[json.RawMessage]() { // an event's object has its own check
			return
		}
		if typ.Kind() != reflect.Struct {
			wrong()
			return
		}
		if kind, ok := v["object"].(string); ok {
			path = kind
		}
		fields := map[string]reflect.Type{}
		collectFields(typ, fields)
		for name, member := range v {
			if ft, ok := fields[name]; ok {
				checkShape(t, path+"."+name, member, ft)
			} else if !notInClient[path+"."+name] {
				t.Errorf("%s.%s is no member of %s", path, name, typ)
			}
		}
	}
}

func collectFields(typ reflect.Type, into map[string]reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			if f.Type.Kind() == reflect.Struct {
				collectFields(f.Type, into)
			}
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			into[name] = f.Type
		}
	}
}

func TestObjectsFitTheClient(t *testing.T) {
	sim, url := serve(t, stripesim.Config{})
	se := create(t, newClient(url, testKey, 0), donation(2000))
	if err := sim.Pay(se.ID, stripesim.CardDeclined); err == nil {
		t.Fatal("not declined")
	}
	in := sim.Sessions("")[0].PaymentIntentID
	look := func(path string, typ reflect.Type) {
		t.Helper()
		resp, body := raw(t, http.MethodGet, url+path, "")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
		checkShape(t, path, v, typ)
	}
	look("/v1/checkout/sessions/"+se.ID+"?expand[]=line_items", reflect.TypeFor[stripe.CheckoutSession]())
	look("/v1/payment_intents/"+in+"?expand[]=latest_charge", reflect.TypeFor[stripe.PaymentIntent]())
	pay(t, sim, se.ID)
	look("/v1/checkout/sessions?expand[]=data.payment_intent.payment_method", reflect.TypeFor[stripe.CheckoutSessionList]())
	look("/v1/charges?expand[]=data.refunds", reflect.TypeFor[stripe.ChargeList]())
	look("/v1/balance_transactions", reflect.TypeFor[stripe.BalanceTransactionList]())
	look("/v1/events", reflect.TypeFor[stripe.EventList]())
	look("/v1/balance", reflect.TypeFor[stripe.Balance]())
	look("/v1/account", reflect.TypeFor[stripe.Account]())
}
