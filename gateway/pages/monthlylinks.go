package pages

import (
	"net/http"
	"strconv"

	"google.golang.org/grpc/status"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
)

// linksView is the page where donors who lost the mail have links to their monthly donations sent.
type linksView struct {
	Collective, CollectivePath string
	// Path is the page's address, and the form's is below it.
	Path string
	// Sent: the answer to an address, known or not.
	Sent bool
}

// linksPage begins the page of a collective; false when it answered already. A collective without public campaigns looks
// like one that does not exist.
func (s *site) linksPage(w http.ResponseWriter, r *http.Request) (p *page, v linksView, ok bool) {
	collective := r.PathValue("collective")
	if !slugPattern.MatchString(collective) {
		s.missing(w, r)
		return nil, v, false
	}
	list, err := s.campaigns.ListCampaigns(r.Context(), &campaignsv1.ListCampaignsRequest{Parent: "collectives/" + collective, PageSize: 1})
	if err != nil {
		s.failed(w, r, err)
		return nil, v, false
	}
	if len(list.GetCampaigns()) == 0 {
		s.missing(w, r)
		return nil, v, false
	}
	p = s.begin(w, r)
	p.NoIndex = true
	path := "/c/" + collective
	return p, linksView{Collective: list.GetCampaigns()[0].GetCollectiveDisplayName(), CollectivePath: path, Path: path + "/monthly"}, true
}

// links asks for the donor's address.
func (s *site) links(w http.ResponseWriter, r *http.Request) {
	if p, v, ok := s.linksPage(w, r); ok {
		s.answerLinks(w, r, http.StatusOK, p, v)
	}
}

// linksAsked says what came of an address, which is not in this page's own.
func (s *site) linksAsked(w http.ResponseWriter, r *http.Request) {
	p, v, ok := s.linksPage(w, r)
	if !ok {
		return
	}
	p.InLanguage = v.Path + "?lang="
	code, query := http.StatusOK, r.URL.Query()
	switch problem := query.Get("problem"); problem {
	case "":
		v.Sent = query.Has("sent")
	case errorsv1.ErrorReason_INVALID_FIELD.String():
		code = http.StatusBadRequest
		p.wrong("email", p.T("monthly.errorEmail"))
	default:
		code = tellProblem(p, nil, errorsv1.ReasonOf(problem), waitOf(query))
	}
	s.answerLinks(w, r, code, p, v)
}

// askLinks has links mailed. The answer is the same whether or not the address is known, and does not repeat it.
func (s *site) askLinks(w http.ResponseWriter, r *http.Request) {
	p, v, ok := s.linksPage(w, r)
	if !ok {
		return
	}
	if s.foreign.Check(r) != nil {
		p.wrong("", p.T("monthlyErrorOrigin"))
		s.answerLinks(w, r, http.StatusForbidden, p, v)
		return
	}
	asked := v.Path + "/link" + p.Query
	join := "?"
	if p.Query != "" {
		join = "&"
	}
	err := r.ParseForm()
	if err == nil {
		_, err = s.recurring.RequestManageLinks(r.Context(), &recurringv1.RequestManageLinksRequest{
			Parent: "collectives/" + r.PathValue("collective"), Email: r.PostForm.Get("email"),
		})
	}
	if err != nil {
		reason, wait := reasonOf(err)
		if _, known := monthlyProblems[reason]; !known && reason != errorsv1.ErrorReason_INVALID_FIELD {
			s.logger.WarnContext(r.Context(), "links to monthly donations cannot be asked for", "code", status.Code(err).String())
		}
		back(w, r, asked+join+"problem="+reason.String()+"&wait="+strconv.Itoa(int(wait.Seconds())))
		return
	}
	back(w, r, asked+join+"sent=1")
}

func (s *site) answerLinks(w http.ResponseWriter, r *http.Request, code int, p *page, v linksView) {
	p.Title, p.Content = p.T("monthly.linksTitle"), v
	if v.Sent {
		p.Title = p.T("monthlySentTitle")
	}
	s.answer(w, r, code, "monthlylinks", p, cacheNever)
}
