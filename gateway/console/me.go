package console

import (
	"encoding/json"
	"net/url"
	"slices"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// me is the caller's name in the calls.
const me = "members/me"

// meSection has what is a member's own: name, language, passkeys, devices.
func meSection() section {
	return section{name: "me", routes: []route{
		{pattern: "GET /console/me", serve: meShow},
		{pattern: "POST /console/me", serve: meSave},
		{pattern: "GET /console/me/email", serve: meEmailForm},
		{pattern: "POST /console/me/email", serve: meEmailAsk},
		{pattern: "GET /console/me/email/sent", serve: meEmailSent},
		{pattern: "GET /console/me/email/confirm", serve: meEmailLink},
		{pattern: "POST /console/me/email/confirm", serve: meEmailRedeem},
		{pattern: "GET /console/me/passkeys/new", serve: mePasskeyNew},
		{pattern: "POST /console/me/passkeys/begin", serve: mePasskeyBegin},
		{pattern: "POST /console/me/passkeys/finish", serve: mePasskeyFinish},
		{pattern: "GET /console/me/passkeys/{passkey}/delete", serve: mePasskeyConfirm},
		{pattern: "POST /console/me/passkeys/{passkey}/delete", serve: mePasskeyDelete},
		{pattern: "POST /console/me/devices/{session}/end", serve: meDeviceEnd},
		{pattern: "GET /console/me/devices/end", serve: meDevicesConfirm},
		{pattern: "POST /console/me/devices/end", serve: meDevicesEnd},
	}}
}

func (v *visit) members() accessv1.MembersServiceClient {
	return accessv1.NewMembersServiceClient(v.Conn)
}

var meFields = []field{
	{Name: "display_name", Label: "me.name", Hint: "me.nameHint", Required: true, Max: 80, Autocomplete: "name"},
	{Name: "language", Label: "me.language", Kind: "radio", Required: true, Options: []option{{Value: "fr", Label: "Français"}, {Value: "en", Label: "English"}}},
}

// mePage is the page of a member.
type mePage struct {
	Form     *form
	Email    string
	Passkeys []mePasskey
	Devices  []meDevice
	Places   []place
}

type mePasskey struct {
	Name, Since, Used, Path string
	// Copied: its counter went back, so it signs in no more.
	Copied bool
}

type meDevice struct {
	Name, Since, Used, End string
	Current                bool
}

func meShow(v *visit) error {
	p, err := v.meContent(v.newForm(meFields, "display_name", v.me.GetDisplayName(), "language", v.me.GetLanguage()))
	if err != nil {
		return err
	}
	return v.show("me/me", v.T("me.title"), p)
}

func (v *visit) meContent(f *form) (*mePage, error) {
	p := &mePage{Form: f, Email: v.me.GetEmail(), Places: v.newPage("", nil).Places}
	passkeys, err := v.members().ListPasskeys(v.ctx(), &accessv1.ListPasskeysRequest{Parent: me})
	if err != nil {
		return nil, err
	}
	for _, each := range passkeys.GetPasskeys() {
		shown := mePasskey{
			Name: each.GetDisplayName(), Since: v.Date(each.GetCreateTime().AsTime()), Copied: each.GetCloneWarningTime() != nil,
			Path: "/console/me/passkeys/" + lastOf(each.GetName()) + "/delete",
		}
		if each.GetLastUseTime() != nil {
			shown.Used = v.Date(each.GetLastUseTime().AsTime())
		}
		p.Passkeys = append(p.Passkeys, shown)
	}
	sessions, err := v.members().ListSessions(v.ctx(), &accessv1.ListSessionsRequest{Parent: me, PageSize: 200})
	if err != nil {
		return nil, err
	}
	for _, each := range sessions.GetSessions() {
		shown := meDevice{
			Name: each.GetDevice(), Since: v.Date(each.GetCreateTime().AsTime()), Used: v.Date(each.GetLastUseTime().AsTime()),
			End: "/console/me/devices/" + lastOf(each.GetName()) + "/end", Current: each.GetCurrent(),
		}
		if shown.Name == "" {
			shown.Name = v.T("me.deviceUnknown")
		}
		p.Devices = append(p.Devices, shown)
	}
	return p, nil
}

func meSave(v *visit) error {
	f, err := v.readForm(meFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.members().UpdateMember(v.ctx(), &accessv1.UpdateMemberRequest{
			Member: &accessv1.Member{Name: me, DisplayName: f.Value("display_name"), Language: f.Value("language")},
		})
		switch {
		case err == nil:
			return v.done("me.saved", "/console/me")
		case !f.refused(v, err):
			return err
		}
	}
	p, err := v.meContent(f)
	if err != nil {
		return err
	}
	return v.refuse("me/me", v.T("me.title"), p)
}

var newEmailFields = []field{{
	Name: "email", Label: "me.newEmail", Hint: "me.newEmailHint", Kind: "email", Required: true, Max: 254, Autocomplete: "email",
}}

// meEmailPage asks for another address.
type meEmailPage struct {
	Form  *form
	Email string
}

func meEmailForm(v *visit) error {
	if !v.fresh() {
		return nil
	}
	return v.show("me/email", v.T("me.emailTitle"), meEmailPage{v.newForm(newEmailFields), v.me.GetEmail()})
}

// meEmailAsk has a link mailed to the new address. The answer is the same whether or not a member has it.
func meEmailAsk(v *visit) error {
	f, err := v.readForm(newEmailFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.members().RequestEmailChange(v.ctx(), &accessv1.RequestEmailChangeRequest{Name: me, Email: f.Value("email")})
		switch {
		case err == nil:
			return v.redirect("/console/me/email/sent")
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("me/email", v.T("me.emailTitle"), meEmailPage{f, v.me.GetEmail()})
}

func meEmailSent(v *visit) error {
	return v.show("me/emailsent", v.T("me.emailSentTitle"), v.me.GetEmail())
}

// meEmailLink shows a button. The token is not redeemed here, because programs that read mail load the page as well.
func meEmailLink(v *visit) error {
	v.keepToken()
	return v.show("me/emaillink", v.T("me.emailLinkTitle"), v.linkPage("/console/me/email"))
}

func meEmailRedeem(v *visit) error {
	v.keepToken()
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	_, err = v.members().RedeemEmailChange(v.ctx(), &accessv1.RedeemEmailChangeRequest{Name: me, Token: f.Value("token")})
	if err != nil {
		if !f.refused(v, err) {
			return err
		}
		return v.refuse("me/emaillink", v.T("me.emailLinkTitle"), linkPage{Error: f.said(), Again: "/console/me/email"})
	}
	return v.done("me.email-changed", "/console/me")
}

var passkeyFields = []field{{Name: "display_name", Label: "me.passkeyName", Hint: "me.passkeyNameHint", Max: 80}}

func mePasskeyNew(v *visit) error {
	if !v.fresh() {
		return nil
	}
	v.passkeys = true
	return v.show("me/passkey", v.T("me.passkeyNew"), v.newForm(passkeyFields))
}

// mePasskeyBegin answers what navigator.credentials.create needs, for the script of passkeys.
func mePasskeyBegin(v *visit) error {
	ceremony, err := v.members().BeginPasskeyRegistration(v.ctx(), &accessv1.BeginPasskeyRegistrationRequest{Parent: me})
	if err != nil {
		return v.answerJSON(nil, err)
	}
	return v.answerJSON(map[string]any{
		"ceremony": ceremony.GetCeremony(), "options": json.RawMessage(ceremony.GetOptionsJson()),
	}, nil)
}

func mePasskeyFinish(v *visit) error {
	f, err := v.readForm(passkeyFields)
	if err != nil {
		return err
	}
	_, err = v.members().FinishPasskeyRegistration(v.ctx(), &accessv1.FinishPasskeyRegistrationRequest{
		Parent: me, Ceremony: f.Value("ceremony"), CredentialJson: f.Value("credential"), DisplayName: f.Value("display_name"), Device: v.device(),
	})
	if err != nil {
		return v.answerJSON(nil, err)
	}
	return v.answerJSON(map[string]any{"next": "/console/me?done=me.passkey-added"}, nil)
}

func mePasskeyConfirm(v *visit) error {
	passkeys, err := v.members().ListPasskeys(v.ctx(), &accessv1.ListPasskeysRequest{Parent: me})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(passkeys.GetPasskeys(), func(k *accessv1.Passkey) bool { return lastOf(k.GetName()) == v.r.PathValue("passkey") }) {
		return errNoPage
	}
	if !v.fresh() {
		return nil
	}
	return v.mePasskeyConfirmation(v.newForm(nil))
}

func (v *visit) mePasskeyConfirmation(f *form) error {
	return v.confirm(v.T("me.passkeyDelete"), confirmation{
		Lead: v.T("me.passkeyDeleteLead"), Points: []string{v.T("me.passkeyDeleteDevice"), v.T("me.passkeyDeleteMail")},
		Form: f, Button: v.T("me.delete"), Danger: true, Back: "/console/me",
	})
}

func mePasskeyDelete(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	_, err = v.members().DeletePasskey(v.ctx(), &accessv1.DeletePasskeyRequest{Name: me + "/passkeys/" + v.r.PathValue("passkey")})
	switch {
	case err == nil || isNotFound(err): // sent twice
		return v.done("me.passkey-deleted", "/console/me")
	case !f.refused(v, err):
		return err
	}
	return v.mePasskeyConfirmation(f)
}

func meDeviceEnd(v *visit) error {
	_, err := v.members().RevokeSession(v.ctx(), &accessv1.RevokeSessionRequest{Name: me + "/sessions/" + v.r.PathValue("session")})
	if err != nil {
		return err
	}
	return v.done("me.device-ended", "/console/me")
}

func meDevicesConfirm(v *visit) error {
	return v.confirm(v.T("me.everywhere"), confirmation{
		Lead: v.T("me.everywhereLead"), Points: []string{v.T("me.everywhereHere"), v.T("me.everywhereKeys")}, Form: v.newForm(nil), Button: v.T("me.everywhereButton"), Danger: true,
		Back: "/console/me",
	})
}

func meDevicesEnd(v *visit) error {
	if _, err := v.members().SignOut(v.ctx(), &accessv1.SignOutRequest{Name: me, Everywhere: true}); err != nil {
		return err
	}
	clearSession(v.w)
	return v.redirect("/console/sign-in?" + url.Values{"done": {"signin.out"}}.Encode())
}
