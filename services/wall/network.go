package wall

import (
	"github.com/cagnotte/cagnotte/services/internal/limit"
)

// bucket is a key of a network with its limit.
type bucket struct {
	use   limit.Use
	limit Network
}

// buckets are the keys of an attempt's network, from the innermost outwards, and those of a ticket. All kinds of payment share
// those of the network.
func (s *Service) buckets(a Attempt, answer solution) []bucket {
	l := s.cfg.Limits
	var all []bucket
	add := func(what string, bits int, n Network) {
		if n.Interval == 0 {
			return
		}
		whom := "unknown"
		// The zero Prefix of an unknown address is one key for all.
		if p, err := a.Address.Unmap().WithZone("").Prefix(bits); err == nil {
			whom = p.String()
		}
		all = append(all, bucket{limit.Use{What: what, Whom: whom, Interval: n.Interval}, n})
	}
	address, far := 32, 16
	switch {
	case !a.Address.IsValid():
		add("near", 0, l.Near)
	case a.Address.Unmap().Is4():
		add("address", 32, l.Address)
		add("near", 24, l.Near)
		add("far", 16, l.Far)
	default:
		address, far = 64, 40
		add("address", 64, l.Address)
		add("home", 56, l.Home)
		add("near", 48, l.Near)
		add("far", 40, l.Far)
	}
	if answer.valid && answer.ticket {
		add("ticket address", address, l.TicketAddress)
		add("ticket far", far, l.TicketFar)
		if n := l.TicketCampaign; n.Interval != 0 {
			all = append(all, bucket{limit.Use{What: string(a.Kind) + " ticket campaign", Whom: a.Campaign, Interval: n.Interval}, n})
		}
	}
	return all
}

func uses(buckets []bucket) []limit.Use {
	all := make([]limit.Use, len(buckets))
	for i, b := range buckets {
		all[i] = b.use
	}
	return all
}
