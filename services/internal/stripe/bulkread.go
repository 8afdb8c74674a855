package stripe

import (
	"context"
	"maps"
	"slices"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

const (
	// pageSize is the most objects that Stripe returns at once.
	pageSize = 100
	// handful is how many objects are read one by one instead of by their list.
	handful = 3
	// findSlack is how inexact the time of a [Wanted] may be. In a burst 25 sessions a second are made, so it costs
	// pages.
	findSlack = 5 * time.Second
	// dryPages is how many pages without a wanted object are read before each page must have one.
	dryPages = 3
)

// Wanted is an object to read, and approximately when Stripe made it. With a wrong or zero time the object is not found
// in its list, and has to be read by itself.
type Wanted struct {
	ID      string
	Created time.Time
}

// listed is an object in a list: the id that it is wanted by, its own id, after which the list continues, and its
// creation.
type listed[T any] struct {
	wanted, id string
	created    int64
	value      T
}

// find reads objects by pages of their list, newest first, and returns those that it found by id. Each page begins at
// the newest object that is still wanted. Another page is read only while each page before, except dryPages, brought a
// wanted object. So find and the single reads afterwards cost at most a few calls more than single reads alone, and in
// a burst one call for a hundred objects. A handful is not looked for. With an error it returns what it found before.
func find[T any](wanted []Wanted, list func(window *form.Values) (page []listed[T], more bool, err error)) (map[string]T, error) {
	found := map[string]T{}
	left := slices.DeleteFunc(slices.Clone(wanted), func(w Wanted) bool { return w.Created.Unix() <= 0 })
	slices.SortFunc(left, func(a, b Wanted) int { return b.Created.Compare(a.Created) })
	after := ""
	for pages := 0; len(left) > handful && pages < len(found)+dryPages; pages++ {
		newest, oldest := left[0].Created.Add(findSlack), left[len(left)-1].Created.Add(-findSlack)
		window := query("limit", decimal(pageSize), "created[gte]", decimal(max(oldest.Unix(), 0)))
		if after == "" {
			window.Add("created[lte]", decimal(newest.Unix()))
		} else {
			window.Add("starting_after", after)
		}
		page, more, err := list(window)
		if err != nil || len(page) == 0 {
			return found, err
		}
		met := make(map[string]bool, len(left))
		for _, w := range left {
			met[w.ID] = false
		}
		for _, o := range page {
			// Of several charges of one payment the newest counts, which comes first.
			if done, isWanted := met[o.wanted]; isWanted && !done {
				met[o.wanted], found[o.wanted] = true, o.value
			}
		}
		last := page[len(page)-1]
		end := unix(last.created)
		left = slices.DeleteFunc(left, func(w Wanted) bool { return met[w.ID] || w.Created.Add(-findSlack).After(end) })
		if !more || len(left) == 0 {
			return found, nil
		}
		// Where nothing is wanted for a while, the list is not read through.
		if after = last.id; left[0].Created.Add(findSlack).Before(end) {
			after = ""
		}
	}
	return found, nil
}

// findIn is find in a list of the API, with what is asked of it besides. show tells what an object says.
func findIn[O, T any](ctx context.Context, c *Client, account, path string, wanted []Wanted, show func(*O) listed[T], params ...string) (map[string]T, error) {
	return find(wanted, func(window *form.Values) ([]listed[T], bool, error) {
		for i := 0; i < len(params); i += 2 {
			window.Add(params[i], params[i+1])
		}
		var answer struct {
			stripego.APIResource
			Data    []O  `json:"data"`
			HasMore bool `json:"has_more"`
		}
		if err := c.get(ctx, account, path, window, &answer); err != nil {
			return nil, false, err
		}
		page := make([]listed[T], len(answer.Data))
		for i := range answer.Data {
			page[i] = show(&answer.Data[i])
		}
		return page, answer.HasMore, nil
	})
}

// FindSessions reads many sessions by pages of their list, with their payment intents' status, and returns those that
// it found by id. Read the others with [Client.GetSession]. Sessions that the list shows as open are left out, because
// a caller has reason to believe that they are not. https://docs.stripe.com/api/checkout/sessions/list
func (c *Client) FindSessions(ctx context.Context, account string, wanted []Wanted) (map[string]Session, error) {
	found, err := findIn(ctx, c, account, "/v1/checkout/sessions", wanted, func(o *sessionJSON) listed[Session] {
		return listed[Session]{o.ID, o.ID, o.Created, o.session()}
	}, "expand[0]", "data.payment_intent")
	maps.DeleteFunc(found, func(_ string, session Session) bool { return session.Status == SessionOpen })
	return found, err
}

// FindPayments reads the latest charges of many payment intents by pages of the list of charges. It returns the balance
// transactions of those that it found by payment intent id; nil while the fee is unknown. Wanted.Created is
// approximately when it was paid. Read the others with [Client.GetPaymentIntent].
// https://docs.stripe.com/api/charges/list
func (c *Client) FindPayments(ctx context.Context, account string, wanted []Wanted) (map[string]*BalanceTransaction, error) {
	return findIn(ctx, c, account, "/v1/charges", wanted, func(o *chargeJSON) listed[*BalanceTransaction] {
		return listed[*BalanceTransaction]{o.PaymentIntent.ID, o.ID, o.Created, o.balance()}
	}, "expand[0]", "data.balance_transaction")
}

// FindInvoices reads many invoices by pages of their list, with the state of their payments, and returns those that it
// found by id. Read the others with [Client.GetInvoice]. https://docs.stripe.com/api/invoices/list
func (c *Client) FindInvoices(ctx context.Context, account string, wanted []Wanted) (map[string]Invoice, error) {
	return findIn(ctx, c, account, "/v1/invoices", wanted, func(o *invoiceJSON) listed[Invoice] {
		return listed[Invoice]{o.ID, o.ID, o.Created, o.invoice()}
	}, "expand[0]", "data.payment_intent")
}

// FindSubscriptions reads many subscriptions, also ended ones, with their latest invoices, like [Client.FindInvoices].
// https://docs.stripe.com/api/subscriptions/list
func (c *Client) FindSubscriptions(ctx context.Context, account string, wanted []Wanted) (map[string]Subscription, error) {
	return findIn(ctx, c, account, "/v1/subscriptions", wanted, func(o *subscriptionJSON) listed[Subscription] {
		return listed[Subscription]{o.ID, o.ID, o.Created, o.subscription()}
	}, "status", "all", "expand[0]", "data."+latestPayment)
}
