package wall

import "time"

// Network is how often one network may start a payment: Soft times at once without being asked for a proof, Hard times at once
// with one, and then once each Interval.
type Network struct {
	Soft, Hard int
	Interval   time.Duration
}

// Outer is how many payments that nobody paid yet a campaign, an account or the instance may have: Soft, and Paid more for each
// payment of about the last hour, and Usual more for each one of about the last week. Over it a proof is asked for.
type Outer struct{ Soft, Paid, Usual float64 }

// Limits are how much may be started. What is zero in it limits nothing.
type Limits struct {
	// Off: nothing is counted, asked for or refused. It is for tests of other things.
	Off bool
	// Challenges: over a soft limit a proof is asked for. Otherwise soft limits ask nothing, and hard limits refuse.
	Challenges bool
	// Address is for one IPv4 address or a /64 of IPv6, Home for a /56, Near for a /24 or a /48, Far for a /16 or a /40. All whose
	// address is unknown share Near.
	Address, Home, Near, Far Network
	// TicketAddress, TicketFar and TicketCampaign are for solutions without work. Soft and Hard are equal there.
	TicketAddress, TicketFar, TicketCampaign Network
	// Campaign, Account and Instance are for pages at Stripe, Pledges for the pledges of a campaign or a collective.
	Campaign, Account, Instance, Pledges Outer
	// Bits is the difficulty of the easiest challenge.
	Bits int
}

// DefaultLimits ask nothing of a village fair behind one address, nor of several hundred people behind the addresses that a
// telephone company shares among them.
var DefaultLimits = Limits{
	Address: Network{Soft: 20, Hard: 60, Interval: time.Minute},
	Home:    Network{Soft: 30, Hard: 90, Interval: 45 * time.Second},
	Near:    Network{Soft: 60, Hard: 240, Interval: 20 * time.Second},
	Far:     Network{Soft: 300, Hard: 1500, Interval: 4 * time.Second},

	TicketAddress:  Network{Soft: 3, Hard: 3, Interval: 5 * time.Minute},
	TicketFar:      Network{Soft: 12, Hard: 12, Interval: time.Minute},
	TicketCampaign: Network{Soft: 20, Hard: 20, Interval: 15 * time.Second},

	Campaign: Outer{Soft: 40, Paid: 2, Usual: 0.1},
	Account:  Outer{Soft: 50, Paid: 2, Usual: 0.1},
	Instance: Outer{Soft: 70, Paid: 2, Usual: 0.1},
	Pledges:  Outer{Soft: 150, Paid: 2, Usual: 0.1},

	Challenges: true,
	Bits:       14,
}

const (
	// hardRatio is how far over the soft limit of a campaign, an account or the instance all is refused, for outerWait.
	hardRatio = 20
	outerWait = 2 * time.Minute
)
