package stripe

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/tidwall/gjson"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// Event is what is kept of one of Stripe's events: enough to apply it, and nothing of who pays. What else
// it said can be read again at Stripe by its id, for 30 days.
type Event struct {
	ID string
	// Type is Stripe's word, such as "checkout.session.completed".
	Type string
	// Account is the connected account that it is about; "" for the platform's own.
	Account  string
	Livemode bool
	Created  time.Time

	version  string
	resource json.RawMessage
}

// Resource returns what the event's object says.
func (e Event) Resource() Resource { return parseResource(e.Type, e.version, e.resource) }

// Resource is what an event's object says, as far as it matters here. It is stored as JSON.
type Resource struct {
	// ID and Kind name the object: Kind is Stripe's word, such as "dispute". Empty for Checkout Sessions.
	ID   string `json:"id,omitempty"`
	Kind string `json:"object,omitempty"`
	// Created is when Stripe made the object, good for where to look for it only; zero for Checkout Sessions.
	Created time.Time `json:"created,omitzero"`
	// Session is set for events of Checkout Sessions. It has no Status, and nothing but its ID and when it was
	// made, when the event is in another version than [APIVersion], where any member may mean something else: read
	// it again. Its time is good for where to look for it only.
	Session *Session `json:"session,omitempty"`
	// PaymentIntent is the payment that a charge, refund or dispute belongs to.
	PaymentIntent string `json:"payment_intent,omitempty"`
	// Donation is the donation in the metadata of a payment intent; Nil otherwise.
	Donation uuid.UUID `json:"donation,omitzero"`
	// Invoice is what a payment intent pays; its own metadata names no donation then.
	Invoice string `json:"invoice,omitempty"`
}

// Verify checks the Stripe-Signature header against each secret, of which there are two while one is being
// rolled, and reads the event. A header that is wrong, or whose time is more than 300 s ago by the wall
// clock, is INVALID_ARGUMENT (BAD_SIGNATURE); so is any header when there is no secret. The version of the
// event is not checked: refusing it would lose it after three days of retries.
func Verify(payload []byte, header string, secrets []string) (Event, error) {
	if !signed(payload, header, secrets) {
		return Event{}, errs.New(errorsv1.ErrorReason_BAD_SIGNATURE, "The signature does not fit, or is too old.")
	}
	return parseEvent(payload)
}

func signed(payload []byte, header string, secrets []string) bool {
	for _, secret := range secrets {
		// An empty secret would be one that everybody knows.
		if secret != "" && webhook.ValidatePayload(payload, header, secret) == nil {
			return true
		}
	}
	return false
}

// parseEvent reads a payload that is known to be Stripe's. Of most events nothing but the envelope is ever looked at,
// so what is in it is left as it is until [Event.Object].
func parseEvent(payload []byte) (Event, error) {
	var e Event
	gjson.ParseBytes(payload).ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "id":
			e.ID = value.Str
		case "type":
			e.Type = value.Str
		case "account":
			e.Account = value.Str
		case "api_version":
			e.version = value.Str
		case "livemode":
			e.Livemode = value.Bool()
		case "created":
			e.Created = unix(value.Int())
		case "data":
			e.resource = json.RawMessage(value.Get("object").Raw)
		}
		return true
	})
	if e.ID == "" || e.Type == "" || !gjson.ValidBytes(payload) {
		return Event{}, errs.Invalid("payload", "must be an event of Stripe's")
	}
	return e, nil
}

// eventSource is a sourceJSON that is no id alone, as a balance transaction may have it: that is no object here.
type eventSource sourceJSON

// What is read of an event's object, by the names of its members.
var (
	sessionMembers = memberNames(reflect.TypeFor[sessionJSON]())
	sourceMembers  = append(memberNames(reflect.TypeFor[sourceJSON]()), "created")
)

// memberNames returns the names in the JSON tags of a struct.
func memberNames(of reflect.Type) []string {
	var names []string
	for field := range of.Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

// members returns an object with no other members than those named, since of Stripe's sixty a handful is read, and
// encoding/json looks three times at each. What is no object is returned as it is.
func members(data []byte, names []string) []byte {
	object := gjson.ParseBytes(data)
	if !object.IsObject() {
		return data
	}
	kept := make([]byte, 1, 1024)
	kept[0] = '{'
	object.ForEach(func(name, value gjson.Result) bool {
		if slices.Contains(names, name.Str) {
			if len(kept) > 1 {
				kept = append(kept, ',')
			}
			kept = append(kept, name.Raw...)
			kept = append(kept, ':')
			kept = append(kept, value.Raw...)
		}
		return true
	})
	return append(kept, '}')
}

// parseResource is lenient: an object of a version or product that we do not know has nothing for us but perhaps
// its id, and the event is kept all the same.
func parseResource(eventType, version string, data json.RawMessage) Resource {
	if strings.HasPrefix(eventType, "checkout.session.") {
		return parseSession(version, data)
	}
	var o struct {
		eventSource
		Created any `json:"created"`
	}
	if json.Unmarshal(members(data, sourceMembers), &o) != nil {
		var named struct {
			ID      string `json:"id"`
			Object  string `json:"object"`
			Created any    `json:"created"`
		}
		if json.Unmarshal(data, &named) != nil {
			return Resource{}
		}
		return Resource{ID: named.ID, Kind: named.Object, Created: createdOf(named.Created)}
	}
	object := Resource{ID: o.ID, Kind: o.Object, Created: createdOf(o.Created), PaymentIntent: o.PaymentIntent.ID}
	if object.Kind == "payment_intent" {
		object.Donation, object.Invoice = parseDonation(o.Metadata), o.Invoice.ID
	}
	return object
}

func parseSession(version string, data json.RawMessage) Resource {
	var o sessionJSON
	if version == APIVersion && json.Unmarshal(members(data, sessionMembers), &o) == nil {
		session := o.session()
		return Resource{Session: &session, PaymentIntent: session.PaymentIntent}
	}
	var named struct {
		ID      string `json:"id"`
		Created any    `json:"created"`
	}
	if json.Unmarshal(data, &named) != nil || named.ID == "" {
		return Resource{}
	}
	return Resource{Session: &Session{ID: named.ID, Created: createdOf(named.Created)}}
}
