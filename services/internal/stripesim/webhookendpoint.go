package stripesim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// webhookEndpoint is a webhook endpoint that was made through the API. Only those of the platform are delivered to;
// Connect tells whether they get the events of connected accounts instead of the platform's own. Several secrets are
// not possible here, unlike in Config.Endpoints.
type webhookEndpoint struct {
	ID          string            `json:"id"`
	Created     int64             `json:"created"`
	URL         string            `json:"url"`
	Secret      string            `json:"secret"`
	Connect     bool              `json:"connect"`
	Disabled    bool              `json:"disabled"`
	APIVersion  string            `json:"api_version"`
	Events      []string          `json:"events"`
	Description string            `json:"description"`
	Metadata    map[string]string `json:"metadata"`
}

func (h *webhookEndpoint) key() (string, int64) { return h.ID, h.Created }

// render omits the secret, which is shown only at creation, and whether the endpoint is for connected accounts, which
// is never shown.
func (h *webhookEndpoint) render() document {
	status := "enabled"
	if h.Disabled {
		status = "disabled"
	}
	// A copy, so that what is rendered does not change with a later update.
	metadata := document{}
	for k, v := range h.Metadata {
		metadata[k] = v
	}
	return document{
		"id":             h.ID,
		"object":         "webhook_endpoint",
		"api_version":    orNull(h.APIVersion),
		"application":    nil,
		"created":        h.Created,
		"description":    orNull(h.Description),
		"enabled_events": h.Events,
		"livemode":       false,
		"metadata":       metadata,
		"status":         status,
		"url":            h.URL,
	}
}

// endpoint returns it in the dispatcher's form.
func (h *webhookEndpoint) endpoint() Endpoint {
	return Endpoint{URL: h.URL, Secret: h.Secret, Connect: h.Connect, Events: h.Events}
}

// wants tells whether an endpoint gets events of a type. No list at all means every type, as does the star of Stripe's
// API.
func (e Endpoint) wants(kind string) bool {
	return e.Events == nil || slices.Contains(e.Events, "*") || slices.Contains(e.Events, kind)
}

var (
	hookCreateParams = schema{
		"url":            req(address),
		"enabled_events": req(list(text(0), 0)),
		"api_version":    opt(oneOf(Version)),
		"connect":        opt(boolean),
		"description":    opt(text(5000)),
		"metadata":       opt(metadata),
		"expand":         opt(list(text(0), 0)),
	}
	hookUpdateParams = schema{
		"url":            opt(address),
		"enabled_events": opt(list(text(0), 0)),
		"disabled":       opt(boolean),
		"description":    opt(text(5000)),
		"metadata":       opt(metadata),
		"expand":         opt(list(text(0), 0)),
	}
	hookListParams = schema{
		"limit":          opt(integer(1, 100)),
		"starting_after": opt(text(0)),
		"ending_before":  opt(text(0)),
		"expand":         opt(list(text(0), 0)),
	}
)

// address accepts what a webhook can be sent to. Plain HTTP is accepted too, since the receiver of a test is on the
// same machine.
func address(name string, f *form) (any, *apiError) {
	v, err := text(5000)(name, f)
	if err != nil {
		return nil, err
	}
	if url := v.(string); !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		return nil, invalid("url_invalid", name, "Not a valid URL")
	}
	return v, nil
}

func (s *Sim) webhookEndpointRoutes() []route {
	const kind = "webhook_endpoint"
	return []route{
		{"POST /v1/webhook_endpoints", kind, false, hookCreateParams, s.createWebhookEndpoint},
		{"GET /v1/webhook_endpoints", kind, true, hookListParams, s.listWebhookEndpoints},
		{"GET /v1/webhook_endpoints/{id}", kind, false, expandOnly, s.getWebhookEndpoint},
		{"POST /v1/webhook_endpoints/{id}", kind, false, hookUpdateParams, s.updateWebhookEndpoint},
		{"DELETE /v1/webhook_endpoints/{id}", kind, false, noParams, s.deleteWebhookEndpoint},
	}
}

// createWebhookEndpoint answers with the secret, once: no later call shows it. The endpoint gets the events that happen
// from now on.
func (s *Sim) createWebhookEndpoint(c *call) (document, *apiError) {
	p := c.params
	h := &webhookEndpoint{
		ID: newID("we_1", 23), Created: c.now.Unix(), URL: p.str("url"), Secret: newID("whsec_", 32), Connect: p.flag("connect"),
		APIVersion: p.str("api_version"), Events: p.strs("enabled_events"), Description: p.str("description"), Metadata: p.dict("metadata"),
	}
	c.world.Hooks.add(h)
	s.webhookEndpointsChanged()
	o := h.render()
	o["secret"] = h.Secret
	return o, nil
}

func (s *Sim) listWebhookEndpoints(c *call) (document, *apiError) {
	return listPage(&c.world.Hooks, c.params, "/v1/webhook_endpoints", "webhook endpoint", all[*webhookEndpoint], (*webhookEndpoint).render)
}

// findWebhookEndpoint finds the endpoint of the path in the account of the call.
func (s *Sim) findWebhookEndpoint(c *call) (*webhookEndpoint, *apiError) {
	id := c.http.PathValue("id")
	h, ok := c.world.Hooks.get(id)
	if !ok {
		return nil, noSuch(http.StatusNotFound, "webhook endpoint", id, "webhook_endpoint")
	}
	return h, nil
}

func (s *Sim) getWebhookEndpoint(c *call) (document, *apiError) {
	h, err := s.findWebhookEndpoint(c)
	if err != nil {
		return nil, err
	}
	return h.render(), nil
}

// updateWebhookEndpoint changes what was sent and leaves the rest. The queue of the endpoint stays the same, so
// deliveries that wait go to the new URL.
func (s *Sim) updateWebhookEndpoint(c *call) (document, *apiError) {
	h, err := s.findWebhookEndpoint(c)
	if err != nil {
		return nil, err
	}
	p := c.params
	if p.has("url") {
		h.URL = p.str("url")
	}
	if p.has("enabled_events") {
		h.Events = p.strs("enabled_events")
	}
	if p.has("disabled") {
		h.Disabled = p.flag("disabled")
	}
	if p.has("description") {
		h.Description = p.str("description")
	}
	if p.has("metadata") {
		if h.Metadata == nil {
			h.Metadata = map[string]string{}
		}
		// Metadata is merged key by key.
		maps.Copy(h.Metadata, p.dict("metadata"))
	}
	s.webhookEndpointsChanged()
	return h.render(), nil
}

// deleteWebhookEndpoint ends the deliveries to the endpoint. A repeat gets a 404.
func (s *Sim) deleteWebhookEndpoint(c *call) (document, *apiError) {
	h, err := s.findWebhookEndpoint(c)
	if err != nil {
		return nil, err
	}
	c.world.Hooks.remove(h)
	s.webhookEndpointsChanged()
	return document{"id": h.ID, "object": "webhook_endpoint", "deleted": true}, nil
}

// webhookEndpointsChanged gives the dispatcher the endpoints as they are now. The world is locked. The dispatcher's
// lock is taken inside, which is the allowed order.
func (s *Sim) webhookEndpointsChanged() {
	s.changed = true
	s.dispatcher.replace(s.dispatcher.configured, s.platform.enabledWebhookEndpoints())
}

// enabledWebhookEndpoints are the account's own endpoints that are switched on, by name.
func (w *world) enabledWebhookEndpoints() map[string]Endpoint {
	live := map[string]Endpoint{}
	for _, h := range w.Hooks.rows {
		if !h.Disabled {
			live[h.ID] = h.endpoint()
		}
	}
	return live
}

// DisableEndpoint disables an endpoint that was created through the API, as Stripe does after days of failures. An
// unknown endpoint is ignored. The state of its deliveries remains.
func (s *Sim) DisableEndpoint(id string) {
	s.lock()
	defer s.unlock()
	if h, ok := s.platform.Hooks.get(id); ok {
		h.Disabled = true
		s.webhookEndpointsChanged()
	}
}
