package stripesim

import (
	"strings"
	"time"
)

// expandable lists, for each kind of object, the members that expand[] may name, and what they lead to. An
// empty kind is a member that Stripe can expand and that is always null here.
var expandable = map[string]map[string]string{
	"checkout.session": {
		"payment_intent": "payment_intent",
		"line_items":     "line_items",
		"customer":       "customer", "invoice": "invoice", "subscription": "subscription",
		"payment_link": "", "setup_intent": "",
	},
	"payment_intent": {
		"latest_charge":  "charge",
		"payment_method": "payment_method",
		"customer":       "customer", "invoice": "invoice",
		"application": "", "on_behalf_of": "", "review": "", "source": "",
	},
	"charge": {
		"balance_transaction": "balance_transaction",
		"payment_intent":      "payment_intent",
		"refunds":             "refunds",
		"dispute":             "dispute",
		"application":         "", "application_fee": "", "customer": "customer", "failure_balance_transaction": "",
		"invoice": "invoice", "on_behalf_of": "", "review": "", "source_transfer": "", "transfer": "",
	},
	"balance_transaction": {"source": "source"},
	"refund": {
		"balance_transaction": "balance_transaction", "failure_balance_transaction": "balance_transaction",
		"charge": "charge", "payment_intent": "payment_intent",
		"source_transfer_reversal": "", "transfer_reversal": "",
	},
	"dispute":                   {"charge": "charge", "payment_intent": "payment_intent"},
	"radar.early_fraud_warning": {"charge": "charge", "payment_intent": "payment_intent"},
	"payment_method":            {"customer": ""},
	"subscription": {
		"customer": "customer", "default_payment_method": "payment_method", "latest_invoice": "invoice",
		"application": "", "default_source": "", "on_behalf_of": "", "pending_setup_intent": "", "schedule": "", "test_clock": "",
	},
	"invoice": {
		"charge": "charge", "customer": "customer", "payment_intent": "payment_intent", "subscription": "subscription",
		"application": "", "default_payment_method": "", "default_source": "", "on_behalf_of": "", "quote": "", "test_clock": "",
	},
	"customer":               {"default_source": "", "test_clock": ""},
	"billing_portal.session": {"configuration": ""},
	// What moved the money, of several kinds: members that only some of them have.
	"source": {"balance_transaction": "balance_transaction", "payment_intent": "payment_intent", "charge": "charge"},
	"payout": {
		"balance_transaction": "balance_transaction", "failure_balance_transaction": "balance_transaction",
		"destination": "", "original_payout": "", "reversed_by": "",
	},
}

// maxExpandDepth is Stripe's, https://docs.stripe.com/expand.
const maxExpandDepth = 4

// checkExpand refuses unknown paths before anything is executed. Paths into a list begin with "data".
func checkExpand(kind string, isList bool, paths []string) *apiError {
	for _, path := range paths {
		steps := strings.Split(path, ".")
		// The depth counts data of a list as a level.
		if len(steps) > maxExpandDepth {
			return invalid("", "expand", "You cannot expand more than %d levels of a property. Property: %s", maxExpandDepth, path)
		}
		// A list itself has nothing to expand; only its elements have.
		if isList {
			if len(steps) < 2 || steps[0] != "data" {
				return invalid("", "expand", "This property cannot be expanded (%s). You may want to try expanding 'data.%s' instead.",
					path, path)
			}
			steps = steps[1:]
		}
		// Each step must be a member of the object that the step before leads to.
		at := kind
		for _, step := range steps {
			target, ok := expandable[at][step]
			if !ok {
				return invalid("", "expand", "This property cannot be expanded (%s).", path)
			}
			if target == "" { // null here, whatever Stripe could show below it
				break
			}
			at = target
		}
	}
	return nil
}

// expand replaces ids by their objects along paths that passed checkExpand.
func (w *world) expand(o document, paths []string, now time.Time) {
	for _, path := range paths {
		w.expandPath(o, strings.Split(path, "."), now)
	}
}

// expandPath expands one path in place. Rendered objects are maps, so the answer shows the change.
func (w *world) expandPath(o document, steps []string, now time.Time) {
	// The end of the path: the object is shown as it is.
	if len(steps) == 0 {
		return
	}
	// Every rendered document has the member object, which names its kind.
	kind := o["object"].(string)
	if kind == "list" {
		// The path of a list begins with data, which is the step that is passed over here.
		for _, element := range o["data"].([]any) {
			w.expandPath(element.(document), steps[1:], now)
		}
		return
	}
	target := expandable[kind][steps[0]]
	if target == "" { // null here, or of another kind of source
		return
	}
	if target == "line_items" || target == "refunds" { // lists that are left out unless they are asked for
		o[steps[0]] = w.show(target, o["id"].(string), now)
		return
	}
	// A null stays null, whatever the path names below it.
	switch v := o[steps[0]].(type) {
	case document: // expanded by an earlier path
		w.expandPath(v, steps[1:], now)
	case string:
		shown := w.show(target, v, now)
		o[steps[0]] = shown
		w.expandPath(shown, steps[1:], now)
	}
}

// show renders an object that exists. A kind without a case is a mistake in expandable, hence the panic.
func (w *world) show(kind, id string, now time.Time) document {
	switch kind {
	case "payment_intent":
		return w.Intents.byID[id].render(w)
	case "payment_method":
		return w.PaymentMethods.byID[id].render()
	case "charge":
		return w.Charges.byID[id].render()
	case "customer":
		return w.Customers.byID[id].render()
	case "subscription":
		return w.Subscriptions.byID[id].render()
	case "invoice":
		return w.Invoices.byID[id].render(w)
	case "dispute":
		return w.Disputes.byID[id].render(w, now)
	case "source":
		return w.showSource(id, now)
	case "balance_transaction":
		return w.Balance.byID[id].render(now)
	case "line_items":
		return w.Sessions.byID[id].renderItems()
	case "refunds":
		return w.showRefunds(id)
	}
	panic("stripesim: no kind " + kind)
}

// showSource renders the source of a balance transaction. Ids are unique across tables, so the first table that has the
// id is the right one. Balance transactions have no other kinds of source here.
func (w *world) showSource(id string, now time.Time) document {
	if ch, ok := w.Charges.get(id); ok {
		return ch.render()
	}
	if r, ok := w.Refunds.get(id); ok {
		return r.render(w)
	}
	if d, ok := w.Disputes.get(id); ok {
		return d.render(w, now)
	}
	if p, ok := w.Payouts.get(id); ok {
		return p.render()
	}
	panic("stripesim: no source " + id)
}

// showRefunds lists a charge's latest ten.
func (w *world) showRefunds(charge string) document {
	data, more := []any{}, false
	// The newest come first. The loop ends at the eleventh refund, which proves that there are more.
	for i := len(w.Refunds.rows) - 1; i >= 0 && !more; i-- {
		if r := w.Refunds.rows[i]; r.ChargeID == charge {
			more = len(data) == 10
			if !more {
				data = append(data, r.render(w))
			}
		}
	}
	return document{"object": "list", "data": data, "has_more": more, "url": "/v1/charges/" + charge + "/refunds"}
}
