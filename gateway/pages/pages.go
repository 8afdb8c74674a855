package pages

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/design"
	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/text"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

//go:embed templates/*.html strings/*.json
var files embed.FS

//go:embed style.css
var ownStyle []byte

//go:embed wait.js
var waitScript []byte

// Cache policies. Shared caches take the load of a link that goes round; browsers
// ask each time, so that who has just given sees the progress move.
const (
	cachePublic = "public, max-age=0, s-maxage=1"
	cacheNever  = "no-store"
)

// publicMetadata is what of the caller goes on to the services: neither key nor origin.
var publicMetadata = []string{"cagnotte-client-address", "cagnotte-request-id"}

// Config is what the pages need; every field but PublicURL, Host and Now is required.
type Config struct {
	// Conn reaches the services; calls carry the outgoing metadata of the request's context.
	Conn grpc.ClientConnInterface
	// PublicURL is where browsers reach this service, such as "https://dons.example", for addresses that leave it. Empty:
	// pages have none of these.
	PublicURL string
	// Host are the lines of who runs the service, such as name, postal address and telephone, for the legal notice. Empty: the
	// pages do not say.
	Host []string
	// CheckoutOrigins are where the form may redirect to, such as "https://checkout.stripe.com".
	CheckoutOrigins []string
	// PortalOrigins are where donors of monthly donations change their card, such as "https://billing.stripe.com".
	PortalOrigins []string
	// Assets takes the pages' files.
	Assets *design.Assets
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger gets what no visitor is told.
	Logger *slog.Logger
}

// site is the pages' handler.
type site struct {
	campaigns       campaignsv1.CampaignsServiceClient
	newsItems       campaignsv1.NewsServiceClient
	collectives     collectivesv1.CollectivesServiceClient
	donations       donationsv1.DonationsServiceClient
	images          imagesv1.ImagesServiceClient
	ledger          ledgerv1.LedgerServiceClient
	receipts        receiptsv1.ReceiptsServiceClient
	recurring       recurringv1.RecurringServiceClient
	treasury        treasuryv1.TreasuryServiceClient
	publicURL       string
	host            []hostLine
	checkoutOrigins []string
	portalOrigins   []string
	logger          *slog.Logger
	catalogues      text.Catalogues
	templates       map[string]*template.Template
	stories         *markdown.Renderer
	drawn           *drawings
	foreign         *http.CrossOriginProtection
	style, icon     string
	// wait is the address of the script of pages that wait, and proofCheckScript that of what checks a donation's proof.
	wait, proofCheckScript string
	// height is the address of the script of a frame, and doorScript that of a door's pages.
	height, doorScript string
	// momentScript is the address of the script that solves a challenge.
	momentScript string
	now          func() time.Time
}

// Site serves the pages. Its zero value serves nothing: see New.
type Site struct {
	http.Handler
	pages *site
}

// New returns the pages, or an error when one of the embedded files is broken.
func New(c Config) (*Site, error) {
	s := &site{
		campaigns:       campaignsv1.NewCampaignsServiceClient(c.Conn),
		newsItems:       campaignsv1.NewNewsServiceClient(c.Conn),
		collectives:     collectivesv1.NewCollectivesServiceClient(c.Conn),
		images:          imagesv1.NewImagesServiceClient(c.Conn),
		donations:       donationsv1.NewDonationsServiceClient(c.Conn),
		ledger:          ledgerv1.NewLedgerServiceClient(c.Conn),
		receipts:        receiptsv1.NewReceiptsServiceClient(c.Conn),
		recurring:       recurringv1.NewRecurringServiceClient(c.Conn),
		treasury:        treasuryv1.NewTreasuryServiceClient(c.Conn),
		publicURL:       c.PublicURL,
		host:            hostLines(c.Host),
		checkoutOrigins: c.CheckoutOrigins,
		portalOrigins:   c.PortalOrigins,
		logger:          c.Logger,
		templates:       map[string]*template.Template{},
		stories:         markdown.New(),
		// foreign recognises posts of other sites by the headers that browsers set.
		foreign: http.NewCrossOriginProtection(),
	}
	if s.now = c.Now; s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.catalogues, err = text.Load(files, "strings/*.json", text.Languages); err != nil {
		return nil, err
	}
	if s.drawn, err = newDrawings(); err != nil {
		return nil, err
	}
	for _, name := range []string{"campaign", "collective", "donation", "door", "doorthanks", "embed", "front", "message", "moment", "monthly", "monthlylinks", "news", "pledgeform", "privacy", "proof", "receipt", "receipterase", "slip"} {
		s.templates[name], err = template.ParseFS(files, "templates/layout.html", "templates/share.html", "templates/give.html", "templates/proofsentences.html", "templates/cards.html", "templates/doorstart.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
	}
	s.templates[previewName] = s.templates["campaign"]
	mux := http.NewServeMux()
	s.style = c.Assets.Add("style.css", "text/css; charset=utf-8", design.Sheet(ownStyle))
	s.wait = c.Assets.Add("wait.js", "text/javascript; charset=utf-8", waitScript)
	s.proofCheckScript = c.Assets.Add("proof.js", "text/javascript; charset=utf-8", proofScript)
	s.momentScript = c.Assets.Add("moment.js", "text/javascript; charset=utf-8", momentScript)
	s.height = c.Assets.Add("embed.js", "text/javascript; charset=utf-8", embedScript)
	s.doorScript = c.Assets.Add("door.js", "text/javascript; charset=utf-8", doorScript)
	s.icon = c.Assets.Add("icon.svg", "image/svg+xml", design.Icon())
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("GET "+privacyPath, s.privacy)
	mux.HandleFunc("GET /proof", s.proofCheck)
	mux.HandleFunc("GET /donations/{donation}", s.locate)
	mux.HandleFunc("GET /monthly/{donation}", s.locate)
	mux.HandleFunc("GET /stripe/back", s.stripeBack)
	mux.HandleFunc("GET /stripe/expired", s.stripeExpired)
	mux.HandleFunc("GET /images/{collective}/{image}/{width}", s.image)
	mux.HandleFunc("GET /oembed", s.oembed)
	mux.HandleFunc("GET /sitemap.xml", s.sitemap)
	mux.HandleFunc("GET /robots.txt", s.robots)
	mux.HandleFunc("GET /c/{collective}", s.collective)
	mux.HandleFunc("GET /c/{collective}/monthly", s.links)
	mux.HandleFunc("GET /c/{collective}/monthly/link", s.linksAsked)
	mux.HandleFunc("POST /c/{collective}/monthly/link", s.askLinks)
	mux.HandleFunc("GET /c/{collective}/{campaign}", s.campaign)
	mux.HandleFunc("GET /c/{collective}/{campaign}/embed", s.embed)
	mux.HandleFunc("GET /c/{collective}/{campaign}/picture.png", s.picture)
	mux.HandleFunc("GET /c/{collective}/{campaign}/qr.svg", s.qrSVG)
	mux.HandleFunc("GET /c/{collective}/{campaign}/qr.png", s.qrPNG)
	mux.HandleFunc("GET /c/{collective}/{campaign}/poster.pdf", s.poster)
	mux.HandleFunc("GET /c/{collective}/{campaign}/news", s.newsList)
	mux.HandleFunc("GET /c/{collective}/{campaign}/news.atom", s.newsFeed)
	mux.HandleFunc("GET /c/{collective}/{campaign}/news/{item}", s.newsItem)
	mux.HandleFunc("GET /c/{collective}/{campaign}/badge.svg", s.badge)
	mux.HandleFunc("POST /c/{collective}/{campaign}/give", s.give)
	mux.HandleFunc("GET /c/{collective}/{campaign}/give", s.backFromForm)
	mux.HandleFunc("GET /c/{collective}/{campaign}/door", s.door)
	mux.HandleFunc("GET /c/{collective}/{campaign}/door/unpaid", s.doorUnpaid)
	mux.HandleFunc("GET /c/{collective}/{campaign}/door/thanks", s.doorThanks)
	mux.HandleFunc("POST /c/{collective}/{campaign}/door", s.giveAtDoor)
	mux.HandleFunc("GET /c/{collective}/{campaign}/donations/{donation}", s.donation)
	mux.HandleFunc("POST /c/{collective}/{campaign}/donations/{donation}/reopen", s.reopen)
	mux.HandleFunc("GET /c/{collective}/{campaign}/donations/{donation}/reopen", s.backToDonation)
	for _, of := range []string{"monthly/{recurring}", "pledges/{pledge}"} {
		mux.HandleFunc("GET /c/{collective}/{campaign}/"+of+"/receipt", s.receipt)
		mux.HandleFunc("POST /c/{collective}/{campaign}/"+of+"/receipt", s.issueReceipt)
		mux.HandleFunc("GET /c/{collective}/{campaign}/"+of+"/receipt/erase", s.eraseReceiptForm)
		mux.HandleFunc("POST /c/{collective}/{campaign}/"+of+"/receipt/erase", s.eraseReceipt)
	}
	mux.HandleFunc("GET /c/{collective}/{campaign}/donations/{donation}/receipt", s.receipt)
	mux.HandleFunc("POST /c/{collective}/{campaign}/donations/{donation}/receipt", s.issueReceipt)
	mux.HandleFunc("GET /c/{collective}/{campaign}/donations/{donation}/receipt/erase", s.eraseReceiptForm)
	mux.HandleFunc("POST /c/{collective}/{campaign}/donations/{donation}/receipt/erase", s.eraseReceipt)
	mux.HandleFunc("GET /c/{collective}/{campaign}/monthly/{recurring}", s.monthly)
	// Each of these is a form's address; whoever loads it with GET is led back to the page.
	for path, serve := range map[string]http.HandlerFunc{
		"link": s.monthlyLink, "open": s.monthlyOpen, "change": s.monthlyChange, "stop": s.monthlyStop, "portal": s.monthlyPortal,
	} {
		mux.HandleFunc("POST /c/{collective}/{campaign}/monthly/{recurring}/"+path, serve)
		mux.HandleFunc("GET /c/{collective}/{campaign}/monthly/{recurring}/"+path, s.backToMonthly)
	}
	mux.HandleFunc("GET /c/{collective}/{campaign}/pledge", s.pledgeForm)
	mux.HandleFunc("POST /c/{collective}/{campaign}/pledge", s.pledge)
	mux.HandleFunc("GET /c/{collective}/{campaign}/pledges/{pledge}", s.slip)
	mux.HandleFunc("GET /c/{collective}/{campaign}/pledges/{pledge}/qr.svg", s.slipQR)
	// A known address with another method also ends here.
	mux.HandleFunc("/", s.missing)
	return &Site{asPublic(canonical(mux)), s}, nil
}

// asPublic takes the caller's key and origin out of what goes on to the services, and bounds what a form may hold.
func asPublic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The pages answer everybody alike: the key of a visitor must not show a draft.
		given, _ := metadata.FromOutgoingContext(r.Context())
		kept := metadata.MD{}
		for _, key := range publicMetadata {
			kept.Set(key, given.Get(key)...)
		}
		r = r.WithContext(metadata.NewOutgoingContext(r.Context(), kept))
		most := int64(maxFormBytes)
		if strings.HasSuffix(r.URL.Path, "/receipt") {
			most = maxReceiptBytes
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

// canonical leads who typed capitals or a slash at the end to the page: all our addresses are in small letters, without one.
func canonical(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reading := r.Method == http.MethodGet || r.Method == http.MethodHead; reading && strings.HasPrefix(strings.ToLower(r.URL.Path), "/c/") {
			if path := strings.ToLower(strings.TrimRight(r.URL.Path, "/")); path != r.URL.Path && strings.HasPrefix(path, "/c/") {
				// The path begins with /c/, so the address stays on this site.
				http.Redirect(w, r, (&url.URL{Path: path, RawQuery: r.URL.RawQuery}).String(), http.StatusMovedPermanently)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// begin chooses the language and fills the frame. Without a fixed language the
// answer depends on the browser's.
func (s *site) begin(w http.ResponseWriter, r *http.Request) *page {
	p := &page{Style: s.style, Icon: s.icon}
	lang := text.ExplicitLanguage(r, text.Languages)
	if lang != "" {
		p.Query = "?lang=" + lang
	} else {
		w.Header().Add("Vary", "Accept-Language")
		lang = text.PreferredLanguage(r.Header.Get("Accept-Language"), text.Languages)
	}
	p.Words = s.catalogues[lang]
	// It holds no path: one that begins with two slashes would lead to another site, and whoever made the address chose the path.
	p.InLanguage = "?lang="
	return p
}

// again is the address of the page itself, in its language.
func (p *page) again() string {
	if p.Query == "" {
		return "?"
	}
	return p.Query
}

// answer writes a page whole, or nothing of it. The tab, the browser's history and previews of links to a discreet page tell
// nothing of the cause.
func (s *site) answer(w http.ResponseWriter, r *http.Request, code int, name string, p *page, cache string) {
	if p.Discreet {
		p.Title, p.Description, p.Share, p.NoIndex = p.T("discreetTitle"), "", nil, true
		if len(p.Problems) > 0 {
			p.Title = p.T("errorTitle", "title", p.Title)
		}
	}
	var body bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&body, "layout", p); err != nil {
		s.logger.ErrorContext(r.Context(), "a page cannot be rendered", "template", name, "error", err)
		http.Error(w, p.T("awayTitle"), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Set("Cache-Control", cache)
	h.Set("Content-Security-Policy", s.policy(name, p))
	if cache == cachePublic {
		// What a cache hands to many must not carry the id of one request.
		h.Del("X-Request-Id")
	}
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
}

// policy is a page's Content-Security-Policy. Chromium applies form-action to where a
// form's answer redirects, too, so the payment pages are named.
// Foreign pictures are allowed nowhere, and a script of our own only on the page that waits, at a door and in a frame. A frame is for sites that the
// campaign allows.
func (s *site) policy(name string, p *page) string {
	forms, scripts := "'none'", ""
	switch name {
	case "proof":
		return proofPolicy + "; frame-ancestors 'none'"
	case "campaign", "embed":
		forms = "'self' " + strings.Join(s.checkoutOrigins, " ")
		if name == "embed" {
			scripts = "script-src 'self'; "
		}
	case "door":
		forms, scripts = "'self' "+strings.Join(s.checkoutOrigins, " "), "script-src 'self'; "
	case "doorthanks":
		scripts = "script-src 'self'; "
	case "moment":
		forms = "'self' " + strings.Join(slices.Concat(s.checkoutOrigins, s.portalOrigins), " ")
		scripts = "script-src 'self'; "
	case "monthly":
		forms = "'self' " + strings.Join(s.portalOrigins, " ")
	case "donation":
		forms, scripts = "'self'", "script-src 'self'; connect-src 'self'; "
	// These forms lead to our own pages.
	case "pledgeform", "receipt", "receipterase", "monthlylinks":
		forms = "'self'"
	// A preview has the form, which leads nowhere.
	case previewName:
		forms = "'none'"
	}
	return "default-src 'none'; " + scripts + "style-src 'self'; img-src 'self'; form-action " + forms + "; base-uri 'none'; frame-ancestors " + cmp.Or(p.Embedder, "'none'")
}

// messageView is a page of a heading, sentences and links.
type messageView struct {
	Heading    string
	Paragraphs []string
	Links      []link
}

type link struct{ URL, Text string }

// missing is the page for every address that leads nowhere, drafts included.
func (s *site) missing(w http.ResponseWriter, r *http.Request) {
	p := s.begin(w, r)
	p.Title, p.NoIndex = p.T("missingTitle"), true
	p.Content = messageView{
		Heading:    p.Title,
		Paragraphs: []string{p.T("missingText")},
		Links:      []link{{"/" + p.Query, p.T("home")}},
	}
	s.answer(w, r, http.StatusNotFound, "message", p, cacheNever)
}

// failed answers an error of a call that a page needs.
func (s *site) failed(w http.ResponseWriter, r *http.Request, err error) {
	if isNotFound(err) {
		s.missing(w, r)
		return
	}
	// A visitor who left made the call fail, which is no fault of the service.
	if !isGone(r.Context()) {
		s.logger.WarnContext(r.Context(), "a page lacks what it shows", "code", status.Code(err).String())
	}
	s.away(w, r, "10")
}

// Busy answers a read when too many are under way.
func (s *Site) Busy(w http.ResponseWriter, r *http.Request) { s.pages.away(w, r, "2") }

// away is the page that cannot be shown now, but after so many seconds.
func (s *site) away(w http.ResponseWriter, r *http.Request, retryAfter string) {
	p := s.begin(w, r)
	p.Title, p.NoIndex = p.T("awayTitle"), true
	p.Content = messageView{Heading: p.Title, Paragraphs: []string{p.T("awayText")}}
	w.Header().Set("Retry-After", retryAfter)
	s.answer(w, r, http.StatusServiceUnavailable, "message", p, cacheNever)
}

// A name or a page token that the service refuses as invalid was typed or cut: nothing is at that address.
func isNotFound(err error) bool {
	code := status.Code(err)
	return code == codes.NotFound || code == codes.InvalidArgument
}

func isGone(ctx context.Context) bool { return ctx.Err() != nil }

var (
	slugPattern     = regexp.MustCompile(`^[a-z][a-z0-9-]{1,38}[a-z0-9]$`)
	donationPattern = regexp.MustCompile(`^[0-9a-f-]{36}$`)
)

// campaignName returns the resource name that the path speaks of; false when it cannot be one.
func campaignName(r *http.Request) (string, bool) {
	collective, campaign := r.PathValue("collective"), r.PathValue("campaign")
	if !slugPattern.MatchString(collective) || !slugPattern.MatchString(campaign) {
		return "", false
	}
	return "collectives/" + collective + "/campaigns/" + campaign, true
}

// slugs is the reverse of campaignName.
func slugs(name string) (collective, campaign string) {
	collective, campaign, _ = strings.Cut(strings.TrimPrefix(name, "collectives/"), "/campaigns/")
	return collective, campaign
}
