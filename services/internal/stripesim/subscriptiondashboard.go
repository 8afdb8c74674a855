package stripesim

import (
	"fmt"
	"slices"
	"time"
)

const (
	dueSubscriptionEnd    = "subscription_end"
	dueSubscriptionResume = "subscription_resume"
)

// PauseBehavior is what happens to the invoices of a paused subscription,
// https://docs.stripe.com/billing/subscriptions/pause-payment.
type PauseBehavior string

// The behaviors.
const (
	PauseKeepsDrafts     PauseBehavior = "keep_as_draft"
	PauseGivesInvoicesUp PauseBehavior = "mark_uncollectible"
	PauseVoidsInvoices   PauseBehavior = "void"
)

// pause is pause_collection. Invoices made during the pause are not collected.
type pause struct {
	Behavior  PauseBehavior `json:"behavior"`
	ResumesAt int64         `json:"resumes_at,omitempty"`
}

func (p *pause) render() any {
	if p == nil {
		return nil
	}
	return document{"behavior": string(p.Behavior), "resumes_at": timeOrNull(p.ResumesAt)}
}

// CancelAt sets when a subscription ends, as members do in Stripe's dashboard; the zero time removes it. Stripe would
// prorate the last period, which is not simulated. An unknown or ended subscription is an error.
func (s *Sim) CancelAt(subscriptionID string, at time.Time) error {
	now := s.lock()
	defer s.unlock()
	w, sub, err := s.findRunning(subscriptionID)
	if err != nil {
		return err
	}
	if !at.IsZero() && !at.After(now) {
		return fmt.Errorf("stripesim: %s is not in the future", at)
	}
	previous := document{}
	// It removes an end that was set before, of either kind, and notes the members that change.
	sub.setCancelAtPeriodEnd(false, previous, now)
	if !at.IsZero() {
		sub.CancelAt, sub.CanceledAt, sub.Reason = at.Unix(), now.Unix(), reasonRequested
		s.agenda.add(due{At: time.Unix(sub.CancelAt, 0), Kind: dueSubscriptionEnd, Account: w.ID, ID: sub.ID})
	}
	s.emit(w, "customer.subscription.updated", sub.render(), previous, pageRequest(), now)
	return nil
}

// PauseCollection stops collecting a subscription's invoices until a time, or until [Sim.ResumeCollection] when that is
// zero, as members do in Stripe's dashboard. Its status does not change. An unknown behavior and an unknown or ended
// subscription are errors.
func (s *Sim) PauseCollection(subscriptionID string, behavior PauseBehavior, resumes time.Time) error {
	if !slices.Contains([]PauseBehavior{PauseKeepsDrafts, PauseGivesInvoicesUp, PauseVoidsInvoices}, behavior) {
		return fmt.Errorf("stripesim: no behavior %q", behavior)
	}
	next := &pause{Behavior: behavior}
	if !resumes.IsZero() {
		next.ResumesAt = resumes.Unix()
	}
	return s.setPause(subscriptionID, next)
}

// ResumeCollection ends a pause. Invoices that were not collected during it stay so. An unknown or ended subscription
// is an error.
func (s *Sim) ResumeCollection(subscriptionID string) error { return s.setPause(subscriptionID, nil) }

// An entry of the agenda for an earlier pause stays; resumeOnTime compares with the time of the present one.
func (s *Sim) setPause(subscriptionID string, next *pause) error {
	now := s.lock()
	defer s.unlock()
	w, sub, err := s.findRunning(subscriptionID)
	if err != nil {
		return err
	}
	previous := document{"pause_collection": sub.Pause.render()}
	s.changePause(sub, next, previous, w)
	s.emit(w, "customer.subscription.updated", sub.render(), previous, pageRequest(), now)
	return nil
}

// changePause sets a pause, or ends it with nil, and notes in previous what was there when that differs.
func (s *Sim) changePause(sub *subscription, next *pause, previous document, w *world) {
	if (sub.Pause == nil) == (next == nil) && (next == nil || *next == *sub.Pause) {
		return
	}
	previous["pause_collection"] = sub.Pause.render()
	sub.Pause = next
	if next != nil && next.ResumesAt != 0 {
		s.agenda.add(due{At: time.Unix(next.ResumesAt, 0), Kind: dueSubscriptionResume, Account: w.ID, ID: sub.ID})
	}
}

// newPause reads the parameter; nil when it is empty.
func newPause(p params) *pause {
	if p == nil {
		return nil
	}
	resumes, _ := p.num("resumes_at")
	return &pause{Behavior: PauseBehavior(p.str("behavior")), ResumesAt: resumes}
}

// endOnTime ends a subscription whose cancel_at has come.
func (s *Sim) endOnTime(w *world, sub *subscription, now time.Time) {
	if !sub.ended() && sub.CancelAt == now.Unix() {
		s.endSubscription(w, sub, sub.Reason, request{}, now)
	}
}

// resumeOnTime ends a pause whose resumes_at has come.
func (s *Sim) resumeOnTime(w *world, sub *subscription, now time.Time) {
	if sub.ended() || sub.Pause == nil || sub.Pause.ResumesAt == 0 || sub.Pause.ResumesAt > now.Unix() {
		return
	}
	previous := document{"pause_collection": sub.Pause.render()}
	sub.Pause = nil
	s.emit(w, "customer.subscription.updated", sub.render(), previous, request{}, now)
}

// leaveUncollected does with a paused subscription's new invoice what its behavior says. One that was made before the
// pause is collected all the same.
func (s *Sim) leaveUncollected(w *world, sub *subscription, inv *invoice, now time.Time) {
	inv.AutoAdvance = false
	event := ""
	switch sub.Pause.Behavior {
	case PauseGivesInvoicesUp:
		s.finalize(w, inv, request{}, now)
		inv.Status, inv.GivenUpAt, event = invoiceGivenUp, now.Unix(), "invoice.marked_uncollectible"
	case PauseVoidsInvoices:
		s.finalize(w, inv, request{}, now)
		inv.Status, inv.VoidedAt, event = invoiceVoid, now.Unix(), "invoice.voided"
	default:
		return
	}
	s.emit(w, event, inv.render(w), nil, request{}, now)
}
