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

// Event is one of Stripe's events: enough to apply it, and nothing of the payer. The rest can be read at Stripe by its
// id for 30 days.
type Event struct {
	ID string
	// Type is in Stripe's words, such as "checkout.session.completed".
	Type string
	// Account is the connected account that it is about; empty for the platform's own.
	Account  string
	Livemode bool
	Created  time.Time

	version  string
	resource json.RawMessage
}

// Resource returns what the event says of the resource that it is about.
func (e Event) Resource() Resource { return parseResource(e.Type, e.version, e.resource) }

// Resource is what an event says of the resource that it is about. It is stored as JSON.
type Resource struct {
	// ID and Kind identify it; Kind is in Stripe's words, such as "dispute". Both are empty for Checkout Sessions.
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind,omitempty"`
	// Created is when Stripe made it, to find it in a list; zero for Checkout Sessions.
	Created time.Time `json:"created,omitzero"`
	// Session is set for events of Checkout Sessions. If the event is in another version than [APIVersion], where a
	// member may mean something else, it has only ID and Created, and has to be read again.
	Session *Session `json:"session,omitempty"`
	// PaymentIntent is the payment of a charge, refund or dispute.
	PaymentIntent string `json:"payment_intent,omitempty"`
	// Donation is the donation in the metadata of a payment intent; Nil otherwise.
	Donation uuid.UUID `json:"donation,omitzero"`
	// Invoice is the invoice that a payment intent pays. Its own metadata names no donation then.
	Invoice string `json:"invoice,omitempty"`
}

// Verify checks the Stripe-Signature header with each secret, of which there are two while one is being rolled, and
// reads the event. A wrong header, a time more than 300 s ago by the wall clock, and an empty list of secrets are
// INVALID_ARGUMENT (BAD_SIGNATURE). The API version is not checked, because a refused event is lost after three days of
// retries.
func Verify(payload []byte, header string, secrets []string) (Event, error) {
	if !signed(payload, header, secrets) {
		return Event{}, errs.New(errorsv1.ErrorReason_BAD_SIGNATURE, "The signature is wrong or too old.")
	}
	return parseEvent(payload)
}

func signed(payload []byte, header string, secrets []string) bool {
	for _, secret := range secrets {
		// Everybody could sign with an empty secret.
		if secret != "" && webhook.ValidatePayload(payload, header, secret) == nil {
			return true
		}
	}
	return false
}

// parseEvent reads a verified payload. It reads the envelope only; [Event.Resource] reads the rest when it is needed.
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

// eventSource is a sourceJSON without its UnmarshalJSON, because an event's resource is never an id alone.
type eventSource sourceJSON

// The names of the members that are read of an event's resource.
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

// members returns a JSON object with the named members only, because encoding/json reads each of Stripe's sixty members
// three times. Other JSON is returned unchanged.
func members(data []byte, names []string) []byte {
	object := gjson.ParseBytes(data)
	if !object.IsObject() {
		return data
	}
	reduced := make([]byte, 1, 1024)
	reduced[0] = '{'
	object.ForEach(func(name, value gjson.Result) bool {
		if slices.Contains(names, name.Str) {
			if len(reduced) > 1 {
				reduced = append(reduced, ',')
			}
			reduced = append(reduced, name.Raw...)
			reduced = append(reduced, ':')
			reduced = append(reduced, value.Raw...)
		}
		return true
	})
	return append(reduced, '}')
}

// parseResource is lenient. Of a resource of an unknown version or product it reads at most the id, and the event is
// stored anyway.
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
