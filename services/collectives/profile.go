package collectives

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

const (
	maxProfileChars = 5_000
	maxLogoAltChars = 300
	maxLinkChars    = 500
)

// ProfileText is what a collective tells about itself in one language.
type ProfileText struct {
	// About is who it is, in Markdown that is not sanitised.
	About string `json:"about,omitempty"`
	// LegalNotice is who publishes and answers for the pages, in Markdown that is not sanitised.
	LegalNotice string `json:"legal_notice,omitempty"`
	// LogoAlt says in one line what the logo shows; the display name when empty.
	LogoAlt string `json:"logo_alt,omitempty"`
}

// Profile is what a collective tells the public about itself. The zero Profile is that of a collective which has written
// nothing.
type Profile struct {
	// Collective is whose it is.
	Collective string
	// DisplayName is the collective's.
	DisplayName string
	// Texts are by language; French is there when any is.
	Texts map[string]ProfileText
	// ContactEmail is where the public writes to; may be empty.
	ContactEmail string
	// ContactURL is a page by which the public can write, https; may be empty.
	ContactURL string
	// Website is the collective's own site, https; may be empty.
	Website string
	// Logo is the id of an image of the collective's; empty for none.
	Logo string
	// UpdateTime is when it was last changed; zero while it was never written.
	UpdateTime time.Time

	version int64
}

// Name returns the resource name, `collectives/{collective}/profile`.
func (p Profile) Name() string { return namePrefix + p.Collective + "/profile" }

// etag is opaque to callers; it changes with every change of the profile.
func (p Profile) etag() string { return strconv.FormatInt(p.version, 10) }

// imagePattern is the form of an image's id.
var imagePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// normalise brings a profile to the form in which it is stored, and checks it. Errors: INVALID_ARGUMENT with all wrong
// fields.
func (p *Profile) normalise() error {
	var wrong []errs.Field
	refuse := func(field, format string, args ...any) {
		wrong = append(wrong, errs.Field{Field: "collective_profile." + field, Description: fmt.Sprintf(format, args...)})
	}
	// A language without a word is as good as none.
	maps.DeleteFunc(p.Texts, func(_ string, t ProfileText) bool { return t == ProfileText{} })
	if _, ok := p.Texts[string(money.French)]; !ok && len(p.Texts) > 0 {
		refuse(`texts["fr"]`, "is required: French is the language that all others fall back to")
	}
	for _, lang := range slices.Sorted(maps.Keys(p.Texts)) {
		text := p.Texts[lang]
		for _, part := range []struct{ name, text string }{{"about", text.About}, {"legal_notice", text.LegalNotice}} {
			if utf8.RuneCountInString(part.text) > maxProfileChars || strings.ContainsFunc(part.text, isStrayControl) {
				refuse(fmt.Sprintf("texts[%q].%s", lang, part.name), "must be text of at most %d characters", maxProfileChars)
			}
		}
		if text.LogoAlt != "" && !line(text.LogoAlt, maxLogoAltChars) {
			refuse(fmt.Sprintf("texts[%q].logo_alt", lang), "must be one line of at most %d characters", maxLogoAltChars)
		}
	}
	if p.ContactEmail = strings.TrimSpace(p.ContactEmail); p.ContactEmail != "" {
		if err := mail.CheckAddress(p.ContactEmail); err != nil {
			refuse("contact_email", "%v", err)
		}
	}
	for _, link := range []struct {
		field string
		link  *string
	}{{"contact_url", &p.ContactURL}, {"website", &p.Website}} {
		if *link.link = strings.TrimSpace(*link.link); *link.link != "" && !validLink(*link.link) {
			refuse(link.field, "must be an address that begins with https://, of at most %d characters", maxLinkChars)
		}
	}
	if p.Logo != "" && !imagePattern.MatchString(p.Logo) {
		refuse("logo", "must be an image of the collective")
	}
	if len(wrong) == 0 {
		return nil
	}
	e := errs.New(errorsv1.ErrorReason_INVALID_FIELD, "A field of the request is invalid.")
	e.Fields = wrong
	return e
}

// isStrayControl reports control characters that are not white space. Postgres cannot store a NUL in JSON.
func isStrayControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
}

// validLink reports whether an address can be linked: https, with a host and without a user.
func validLink(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && utf8.RuneCountInString(link) <= maxLinkChars &&
		!strings.ContainsFunc(link, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

// fields are what the audit log tells.
func (p Profile) fields() audit.Fields {
	f := audit.Fields{"contact_email": p.ContactEmail, "contact_url": p.ContactURL, "website": p.Website, "logo": p.Logo}
	for lang, text := range p.Texts {
		f["about."+lang], f["legal_notice."+lang], f["logo_alt."+lang] = text.About, text.LegalNotice, text.LogoAlt
	}
	return f
}

// profileSQL reads a profile, which is empty without a row.
const profileSQL = `
SELECT
	c.id,
	c.display_name,
	coalesce(p.texts, '{}'::jsonb),
	coalesce(p.contact_email, ''),
	coalesce(p.contact_url, ''),
	coalesce(p.website, ''),
	coalesce(p.logo, ''),
	coalesce(p.updated_at, '0001-01-01T00:00:00Z'::timestamptz),
	coalesce(p.version, 0)
FROM collectives.collectives AS c
LEFT JOIN collectives.profiles AS p ON p.collective = c.id
WHERE c.id = @id`

// Profile returns a collective's profile. A missing collective is NOT_FOUND.
func (s *Service) Profile(ctx context.Context, id string) (Profile, error) {
	rows, err := s.pool.Query(ctx, profileSQL, pgx.NamedArgs{"id": id})
	return oneProfile(rows, err, id)
}

const (
	// lockProfileSQL locks the collective, since the profile may have no row yet.
	lockProfileSQL = profileSQL + `
FOR NO KEY UPDATE OF c`

	writeProfileSQL = `
INSERT INTO collectives.profiles (
	collective,
	texts,
	contact_email,
	contact_url,
	website,
	logo,
	version,
	updated_at
)
VALUES (
	@id,
	@texts,
	@contact_email,
	@contact_url,
	@website,
	@logo,
	@version,
	@now
)
ON CONFLICT (collective) DO UPDATE
SET
	texts = excluded.texts,
	contact_email = excluded.contact_email,
	contact_url = excluded.contact_url,
	website = excluded.website,
	logo = excluded.logo,
	version = excluded.version,
	updated_at = excluded.updated_at`
)

// UpdateProfile changes a profile in one transaction: change gets the stored one, and what it leaves is checked and written.
// Nothing is written when nothing differs. An etag that is not empty must be the stored one's, else it is ABORTED
// (ETAG_MISMATCH). A missing collective is NOT_FOUND.
func (s *Service) UpdateProfile(ctx context.Context, id, etag string, change func(*Profile) error) (Profile, error) {
	var result Profile
	err := postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockProfileSQL, pgx.NamedArgs{"id": id})
		stored, err := oneProfile(rows, err, id)
		if err != nil {
			return err
		}
		if etag != "" && etag != stored.etag() {
			return errs.New(errorsv1.ErrorReason_ETAG_MISMATCH, "%s was changed by somebody else; read it again.", stored.Name())
		}
		result = stored
		result.Texts = maps.Clone(stored.Texts)
		if err := change(&result); err != nil {
			return err
		}
		if err := result.normalise(); err != nil {
			return err
		}
		if maps.Equal(result.fields(), stored.fields()) {
			result = stored
			return nil
		}
		result.UpdateTime = s.nowMicros()
		result.version++
		texts, err := json.Marshal(result.Texts)
		if err != nil {
			return errs.Internal(err)
		}
		named := pgx.NamedArgs{
			"id": id, "texts": texts, "contact_email": result.ContactEmail, "contact_url": result.ContactURL,
			"website": result.Website, "logo": nil, "version": result.version, "now": result.UpdateTime,
		}
		if result.Logo != "" {
			named["logo"] = result.Logo
		}
		if _, err := tx.Exec(ctx, writeProfileSQL, named); err != nil {
			return postgres.ErrorFor(err, map[string]*errs.Error{
				"profiles_logo_fkey": errs.Invalid("collective_profile.logo", "must be an image of the collective"),
			})
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: id, Resource: result.Name(), Before: stored.fields(), After: result.fields(),
		})
	})
	if err != nil {
		return Profile{}, err
	}
	return result, nil
}

// oneProfile reads the single row of profileSQL.
func oneProfile(rows pgx.Rows, err error, id string) (Profile, error) {
	if err != nil {
		return Profile{}, postgres.Error(err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (p Profile, err error) {
		var texts []byte
		if err := r.Scan(&p.Collective, &p.DisplayName, &texts, &p.ContactEmail, &p.ContactURL, &p.Website, &p.Logo,
			&p.UpdateTime, &p.version); err != nil {
			return p, err
		}
		p.UpdateTime = p.UpdateTime.UTC()
		return p, json.Unmarshal(texts, &p.Texts)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Profile{}, errs.NotFound(namePrefix + id + "/profile")
	}
	return p, postgres.Error(err)
}
