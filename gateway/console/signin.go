package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// signInSection has the ways in and out, and the page that asks who is there.
func signInSection() section {
	return section{name: "signin", routes: []route{
		{pattern: "GET /console", serve: chooser},
		{pattern: "GET /console/{$}", serve: chooser},
		{pattern: "GET /console/sign-in", serve: signInForm, public: true},
		{pattern: "POST /console/sign-in", serve: signInAsk, public: true},
		{pattern: "GET /console/sign-in/sent", serve: signInSent, public: true},
		{pattern: "GET /console/sign-in/link", serve: signInLink, public: true},
		{pattern: "POST /console/sign-in/link", serve: signInRedeem, public: true},
		{pattern: "POST /console/sign-in/passkey", serve: passkeyBegin, public: true},
		{pattern: "POST /console/sign-in/passkey/finish", serve: passkeyFinish, public: true},
		{pattern: "GET /console/sign-in/invitation", serve: invitationForm, public: true},
		{pattern: "POST /console/sign-in/invitation", serve: invitationAccept, public: true},
		{pattern: "GET /console/confirm", serve: confirmForm},
		{pattern: "POST /console/confirm", serve: confirmAsk},
		{pattern: "GET /console/confirmed", serve: confirmed},
		{pattern: "POST /console/sign-out", serve: signOut, public: true},
	}}
}

// chooser lists where a member can go; with one place alone it leads there.
func chooser(v *visit) error {
	p := v.newPage("", nil)
	if len(p.Places) == 1 {
		if done := v.r.URL.Query().Get("done"); done != "" {
			return v.done(done, p.Places[0].Path)
		}
		return v.redirect(p.Places[0].Path)
	}
	return v.show("signin/chooser", v.T("signin.chooserTitle"), p.Places)
}

var emailFields = []field{{
	Name: "email", Label: "signin.email", Hint: "signin.emailHint", Kind: "email", Required: true, Max: 254, Autocomplete: "username webauthn",
}}

// signInPage is the page that asks for an address.
type signInPage struct {
	Form *form
	// Next is where to go on.
	Next string
}

func signInForm(v *visit) error {
	next := ownPath(v.r.URL.Query().Get("next"))
	// Who is signed in already goes on.
	if sessionToken(v.r) != "" {
		if _, err := v.access.GetPrincipal(v.ctx(), &accessv1.GetPrincipalRequest{}); err == nil {
			return v.redirect(next)
		}
	}
	v.passkeys = true
	return v.show("signin/signin", v.T("signin.title"), signInPage{v.newForm(emailFields), next})
}

// signInAsk has a link mailed. The answer is the same whether or not a member has the address.
func signInAsk(v *visit) error {
	f, err := v.readForm(emailFields)
	if err != nil {
		return err
	}
	next := ownPath(f.Value("next"))
	if !f.failed() {
		var asked *accessv1.RequestSignInLinkResponse
		asked, err = v.signIn.RequestSignInLink(v.ctx(), &accessv1.RequestSignInLinkRequest{Email: f.Value("email"), Language: v.Lang})
		switch {
		case err == nil:
			setBrowser(v.w, asked.GetBrowserToken(), next)
			return v.redirect("/console/sign-in/sent")
		case !f.refused(v, err):
			return err
		}
	}
	v.passkeys = true
	return v.refuse("signin/signin", v.T("signin.title"), signInPage{f, next})
}

func signInSent(v *visit) error { return v.show("signin/sent", v.T("signin.sentTitle"), nil) }

// linkPage is the page of a mailed link.
type linkPage struct {
	Token string
	// Error says why the link does not work; Again where to ask for another one.
	Error, Again string
}

// signInLink shows a button. The token is not redeemed here, because programs that read mail load the page as well.
func signInLink(v *visit) error {
	v.keepToken()
	return v.show("signin/link", v.T("signin.linkTitle"), v.linkPage("/console/sign-in"))
}

// linkPage is the page of the link in the address; one without its token says so at once. Again is where to ask for another.
func (v *visit) linkPage(again string) linkPage {
	token := v.r.URL.Query().Get("token")
	if token == "" {
		return linkPage{Error: v.T("shell.linkBroken"), Again: again}
	}
	return linkPage{Token: token}
}

// keepToken keeps the token in the address out of the Referer of what the page leads to. Origins only, and not nothing at
// all: browsers then send `Origin: null` with our own forms.
func (v *visit) keepToken() { v.w.Header().Set("Referrer-Policy", "strict-origin") }

func signInRedeem(v *visit) error {
	v.keepToken()
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	browser, next := browserOf(v.r)
	session, err := v.signIn.RedeemSignInLink(v.ctx(), &accessv1.RedeemSignInLinkRequest{
		Token: f.Value("token"), BrowserToken: browser, Device: v.device(),
	})
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		again := "/console/sign-in?" + url.Values{"next": {next}}.Encode()
		return v.refuse("signin/link", v.T("signin.linkTitle"), linkPage{Error: f.said(), Again: again})
	}
	setSession(v.w, session.GetToken())
	clearBrowser(v.w)
	return v.redirect(next)
}

// said is what was wrong, in one sentence, for a page without fields.
func (f *form) said() string {
	if f.Message != "" {
		return f.Message
	}
	return f.T("shell.refused")
}

// device is what the browser calls itself. The service keeps the names of the browser and the system alone.
func (v *visit) device() string {
	agent := v.r.UserAgent()
	return strings.ToValidUTF8(agent[:min(len(agent), 1000)], "")
}

// passkeyBegin answers what navigator.credentials.get needs, for the script of passkeys.
func passkeyBegin(v *visit) error {
	ceremony, err := v.signIn.BeginPasskeySignIn(v.ctx(), &accessv1.BeginPasskeySignInRequest{})
	if err != nil {
		return v.answerJSON(nil, err)
	}
	return v.answerJSON(map[string]any{
		"ceremony": ceremony.GetCeremony(), "options": json.RawMessage(ceremony.GetOptionsJson()),
	}, nil)
}

func passkeyFinish(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	session, err := v.signIn.FinishPasskeySignIn(v.ctx(), &accessv1.FinishPasskeySignInRequest{
		Ceremony: f.Value("ceremony"), CredentialJson: f.Value("credential"), Device: v.device(),
	})
	if err != nil {
		return v.answerJSON(nil, err)
	}
	setSession(v.w, session.GetToken())
	clearBrowser(v.w)
	return v.answerJSON(map[string]any{"next": ownPath(f.Value("next"))}, nil)
}

// answerJSON answers a script of ours; for an error, the sentence that it shows.
func (v *visit) answerJSON(answer map[string]any, err error) error {
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if err != nil {
		f := v.newForm(nil)
		wrong := v.T("shell.busyText")
		if f.refused(v, err) {
			wrong = f.said()
		}
		v.w.WriteHeader(http.StatusUnprocessableEntity)
		answer = map[string]any{"error": wrong}
	}
	return json.NewEncoder(v.w).Encode(answer)
}

// invitationPage shows what an invitation is to.
type invitationPage struct {
	Form       *form
	Token      string
	Invitation *accessv1.Invitation
	// Role and Place say to what, Until how long it holds.
	Role, Place, Until string
	// Error says why there is nothing to accept.
	Error string
}

func invitationFields(v *visit) []field {
	return []field{
		{Name: "display_name", Label: "signin.yourName", Hint: "signin.yourNameHint", Required: true, Max: 80, Autocomplete: "name"},
		{Name: "language", Label: "signin.yourLanguage", Kind: "radio", Options: []option{{Value: "fr", Label: "Français"}, {Value: "en", Label: "English"}}},
	}
}

// invitation looks up an invitation by the token in the address or form.
func (v *visit) invitation(token string) (invitationPage, error) {
	v.keepToken()
	p := invitationPage{Token: token}
	found, err := v.signIn.LookUpInvitation(v.ctx(), &accessv1.LookUpInvitationRequest{Token: token})
	if err != nil {
		f := v.newForm(nil)
		if !f.refused(v, err) {
			return p, err
		}
		p.Error = f.said()
		return p, nil
	}
	p.Invitation, p.Role, p.Place = found, capital(v.T("shell."+found.GetRole().String())), found.GetCollectiveDisplayName()
	if p.Place == "" {
		p.Place = v.T("shell.instance")
	}
	p.Until = v.Date(found.GetExpireTime().AsTime())
	return p, nil
}

func invitationForm(v *visit) error {
	p, err := v.invitation(v.r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	p.Form = v.newForm(invitationFields(v), "language", v.Lang)
	return v.show("signin/invitation", v.T("signin.invitationTitle"), p)
}

func invitationAccept(v *visit) error {
	f, err := v.readForm(invitationFields(v))
	if err != nil {
		return err
	}
	p, err := v.invitation(f.Value("token"))
	if err != nil {
		return err
	}
	// A member that exists keeps its name, and is not asked for it.
	if p.Form = f; p.Invitation.GetHasMember() {
		f.errors = map[string]string{}
	}
	if p.Error == "" && !f.failed() {
		session, err := v.signIn.AcceptInvitation(v.ctx(), &accessv1.AcceptInvitationRequest{
			Token: p.Token, DisplayName: f.Value("display_name"), Language: f.Value("language"), Device: v.device(),
		})
		switch {
		case err == nil:
			setSession(v.w, session.GetToken())
			to := "/console"
			if parent, _, ok := strings.Cut(strings.TrimPrefix(p.Invitation.GetName(), "collectives/"), "/"); ok && parent != "instance" {
				to = "/console/c/" + parent
			}
			return v.done("signin.joined", to)
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("signin/invitation", v.T("signin.invitationTitle"), p)
}

// confirmPage asks a member who is signed in to prove to be here.
type confirmPage struct {
	Form        *form
	Email, Next string
}

func confirmForm(v *visit) error {
	v.passkeys = true
	return v.show("signin/confirm", v.T("signin.confirmTitle"), confirmPage{v.newForm(nil), v.me.GetEmail(), ownPath(v.r.URL.Query().Get("next"))})
}

// confirmAsk has a link mailed to the member. Redeeming it gives this browser another session, with a fresh proof.
func confirmAsk(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	next := ownPath(f.Value("next"))
	asked, err := v.signIn.RequestSignInLink(v.ctx(), &accessv1.RequestSignInLinkRequest{Email: v.me.GetEmail(), Language: v.Lang})
	switch {
	case err == nil:
		setBrowser(v.w, asked.GetBrowserToken(), next)
		return v.redirect("/console/sign-in/sent")
	case !f.refused(v, err):
		return err
	}
	v.passkeys = true
	return v.refuse("signin/confirm", v.T("signin.confirmTitle"), confirmPage{f, v.me.GetEmail(), next})
}

// confirmed is where a proof leads that a form in another tab needs.
func confirmed(v *visit) error { return v.show("signin/confirmed", v.T("signin.confirmedTitle"), nil) }

// signOut ends the session. The cookie goes even when the service does not answer.
func signOut(v *visit) error {
	if sessionToken(v.r) != "" {
		_, err := accessv1.NewMembersServiceClient(v.Conn).SignOut(v.ctx(), &accessv1.SignOutRequest{Name: "members/me"})
		if err != nil && status.Code(err) != codes.Unauthenticated {
			return err
		}
	}
	clearSession(v.w)
	return v.done("signin.out", "/console/sign-in")
}
