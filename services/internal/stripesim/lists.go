package stripesim

// listEndpoints are lists that nobody pages through yet: they tell a key what it may read.
func (s *Sim) listEndpoints() []endpoint {
	plain := listParams(nil)
	return []endpoint{
		{"GET /v1/payment_intents", "payment_intent", true, plain, func(c *call) (object, *apiError) {
			return page(&c.world.Intents, c.params, "/v1/payment_intents", "payment_intent", all[*intent],
				func(in *intent) object { return in.render(c.world) })
		}},
		{"GET /v1/customers", "customer", true, plain, func(c *call) (object, *apiError) {
			return page(&c.world.Customers, c.params, "/v1/customers", "customer", all[*customer], (*customer).render)
		}},
	}
}

func all[T any](T) bool { return true }
