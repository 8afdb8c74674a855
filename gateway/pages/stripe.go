package pages

import "net/http"

// stripeBack and stripeExpired are where Stripe leads back to from a collective's onboarding. Both say what to do
// next and do nothing: whoever comes here is not known, and a new link lets its holder set where donations are paid out.
func (s *site) stripeBack(w http.ResponseWriter, r *http.Request) {
	s.stripeMessage(w, r, "stripeBackTitle", "stripeBackText", "stripeBackNext")
}

func (s *site) stripeExpired(w http.ResponseWriter, r *http.Request) {
	s.stripeMessage(w, r, "stripeExpiredTitle", "stripeExpiredText", "stripeExpiredNext")
}

// stripeMessage shows sentences by their keys. The page is the same for everybody, so caches may have it.
func (s *site) stripeMessage(w http.ResponseWriter, r *http.Request, title string, paragraphs ...string) {
	p := s.begin(w, r)
	p.Title, p.NoIndex = p.T(title), true
	content := messageView{Heading: p.Title}
	for _, key := range paragraphs {
		content.Paragraphs = append(content.Paragraphs, p.T(key))
	}
	p.Content = content
	s.answer(w, r, http.StatusOK, "message", p, cachePublic)
}
