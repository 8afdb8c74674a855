package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/cagnotte/cagnotte/gateway/chart"
	"github.com/cagnotte/cagnotte/gateway/design"
	"github.com/cagnotte/cagnotte/gateway/markdown"
	"github.com/cagnotte/cagnotte/gateway/pages"
	"github.com/cagnotte/cagnotte/gateway/text"
	"github.com/cagnotte/cagnotte/gateway/widget"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
)

//go:embed all:templates strings
var files embed.FS

//go:embed console.css
var ownStyle []byte

//go:embed console.js
var script []byte

//go:embed passkey.js
var passkeyScript []byte

// ageScript is made by `make age` from age/source.mjs and age's own library.
//
//go:embed age/age.js
var ageScript []byte

// Budget limits the bytes that the bodies of requests hold at once; package gateway has the same.
type Budget interface {
	Take(ctx context.Context, whom string, n int64) (release func(), ok bool)
}

// Config is what the console needs.
type Config struct {
	// Conn reaches the services; required. Calls carry the outgoing metadata of the request's context, and the session.
	Conn grpc.ClientConnInterface
	// PublicURL is where browsers reach this service, such as "https://dons.example", for addresses that are copied.
	PublicURL string
	// Preview answers a campaign's page as donors will see it; required.
	Preview func(w http.ResponseWriter, r *http.Request, shown pages.Preview)
	// Poster returns a campaign's poster as PDF, in a language of ours; required.
	Poster func(c *campaignsv1.Campaign, lang string) ([]byte, error)
	// DoorPoster returns the poster for the door of an event as Poster does; required.
	DoorPoster func(c *campaignsv1.Campaign, lang string) ([]byte, error)
	// Widget is the script that sites embed, for its addresses and its integrity; required.
	Widget *widget.Script
	// Assets takes the console's files; required.
	Assets *design.Assets
	// Bodies limits the memory of uploads; no limit when nil.
	Bodies Budget
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger gets what no member is told; slog.Default when nil.
	Logger *slog.Logger
}

// console is the handler of all its pages.
type console struct {
	Config
	access                                                       accessv1.AccessServiceClient
	signIn                                                       accessv1.SignInServiceClient
	catalogues                                                   text.Catalogues
	templates                                                    map[string]*template.Template
	sections                                                     []section
	stories                                                      *markdown.Renderer
	foreign                                                      *http.CrossOriginProtection
	styleURL, iconURL, scriptURL, passkeyScriptURL, ageScriptURL string
}

// sections are those of the console, in the order of the navigation. Each stands in the file of its name.
func sections() []section {
	return []section{
		signInSection(),
		homeSection(),
		noticesSection(),
		campaignsSection(),
		spreadSection(),
		donationsSection(),
		monthlySection(),
		statisticsSection(),
		bankSection(),
		expensesSection(),
		refundsSection(),
		disputesSection(),
		newsSection(),
		booksSection(),
		receiptsSection(),
		settingsSection(),
		identitySection(),
		approvalsSection(),
		auditSection(),
		instanceSection(),
		peopleSection(),
		meSection(),
	}
}

// New returns the console, or an error when one of the embedded files is broken.
func New(c Config) (http.Handler, error) {
	if c.Conn == nil || c.Assets == nil {
		return nil, errors.New("console: Conn and Assets are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	s := &console{
		Config:   c,
		access:   accessv1.NewAccessServiceClient(c.Conn),
		signIn:   accessv1.NewSignInServiceClient(c.Conn),
		sections: sections(),
		stories:  markdown.New(),
		// foreign recognises posts of other sites by the headers that browsers set.
		foreign:          http.NewCrossOriginProtection(),
		styleURL:         c.Assets.Add("console.css", "text/css; charset=utf-8", design.Sheet(slices.Concat(ownStyle, chart.Style()))),
		iconURL:          c.Assets.Add("icon.svg", "image/svg+xml", design.Icon()),
		scriptURL:        c.Assets.Add("console.js", "text/javascript; charset=utf-8", script),
		passkeyScriptURL: c.Assets.Add("console-passkey.js", "text/javascript; charset=utf-8", passkeyScript),
		ageScriptURL:     c.Assets.Add("console-age.js", "text/javascript; charset=utf-8", ageScript),
	}
	var err error
	if s.catalogues, err = text.Load(files, "strings/*.json", text.MemberLanguages); err != nil {
		return nil, err
	}
	if s.templates, err = parse(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for i := range s.sections {
		for _, r := range s.sections[i].routes {
			mux.Handle(r.pattern, s.page(r))
		}
	}
	// A known address with another method also ends here.
	mux.Handle("/", s.page(route{serve: func(v *visit) error { return errNoPage }}))
	return mux, nil
}

// parse reads each page's template with the layout, the parts that all pages share, and the parts of its section, which
// begin with an underscore. A page's name is "books/accounts".
func parse() (map[string]*template.Template, error) {
	pages, err := fs.Glob(files, "templates/*/*.html")
	if err != nil {
		return nil, err
	}
	shared, err := template.New("").Funcs(template.FuncMap{"icon": icon}).ParseFS(files, "templates/shell/_*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, file := range pages {
		folder, name := path.Split(strings.TrimPrefix(file, "templates/"))
		if strings.HasPrefix(name, "_") {
			continue
		}
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if parts, _ := fs.Glob(files, "templates/"+folder+"_*.html"); len(parts) > 0 && folder != "shell/" {
			if t, err = t.ParseFS(files, parts...); err != nil {
				return nil, err
			}
		}
		if t, err = t.ParseFS(files, file); err != nil {
			return nil, err
		}
		if t.Lookup("content") == nil {
			return nil, fmt.Errorf("console: %s defines no content", file)
		}
		all[folder+strings.TrimSuffix(name, ".html")] = t
	}
	return all, nil
}
