package console

import (
	"strings"
	"time"

	"github.com/google/uuid"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// The API keys are a part of the section people.

type keysPage struct {
	Up    link
	Keys  []keyRow
	New   string
	Pager pager
}

type keyRow struct {
	Name, Role, Whose, Used, End string
	State, Tone                  string
	// Revoke is empty where the reader cannot.
	Revoke string
}

func keysList(v *visit) error {
	list, err := v.access.ListApiKeys(v.ctx(), &accessv1.ListApiKeysRequest{Parent: v.scope(), PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := keysPage{Up: v.toSettings(), New: v.settingsPath("/keys/new"), Pager: v.pager(list.GetNextPageToken())}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	for _, k := range list.GetApiKeys() {
		row := keyRow{
			Name: k.GetDisplayName(), Role: capital(v.T("shell." + k.GetRole().String())), Whose: k.GetMemberDisplayName(),
			Used: v.T("people.never"), State: v.T("people." + k.GetState().String()), Tone: keyTones[k.GetState()],
		}
		if row.Whose == "" {
			row.Whose = v.T("people.nobodys")
		}
		if k.GetLastUseTime() != nil {
			row.Used = v.Date(k.GetLastUseTime().AsTime().In(zone))
		}
		if k.GetEndTime() != nil {
			row.End = v.Date(k.GetEndTime().AsTime().Add(-time.Nanosecond).In(zone))
		}
		over := k.GetState() == accessv1.ApiKeyState_API_KEY_STATE_REVOKED || k.GetState() == accessv1.ApiKeyState_API_KEY_STATE_ENDED
		if !over && v.mayRevoke(k) {
			row.Revoke = v.settingsPath("/keys/" + lastOf(k.GetName()) + "/revoke")
		}
		p.Keys = append(p.Keys, row)
	}
	return v.show("people/keys", v.T("people.keysTitle"), p)
}

var keyTones = map[accessv1.ApiKeyState]string{
	accessv1.ApiKeyState_API_KEY_STATE_WORKING:          "good",
	accessv1.ApiKeyState_API_KEY_STATE_PENDING_APPROVAL: "warn",
}

// coveredRoles are those that a key of somebody with these roles may have. The service decides.
func (v *visit) coveredRoles() []accessv1.Role {
	switch {
	case v.collective == "":
		return operators
	case v.leads():
		return []accessv1.Role{auditor, editor, treasurer, owner}
	case v.can(treasurer):
		return []accessv1.Role{auditor, treasurer}
	case v.can(editor):
		return []accessv1.Role{editor}
	}
	return []accessv1.Role{auditor}
}

func keyFields(v *visit) []field {
	return []field{
		{Name: "display_name", Label: "people.keyName", Hint: "people.keyNameHint", Required: true, Max: 80, Path: "api_key.display_name"},
		{Name: "role", Label: "people.keyRole", Kind: "radio", Required: true, Options: v.roleOptions(v.coveredRoles()...), Path: "api_key.role"},
		{Name: "end", Label: "people.keyEnd", Hint: "people.keyEndHint", Kind: "day", Path: "api_key.end_time"},
	}
}

func (v *visit) toKeys() link { return link{v.settingsPath("/keys"), v.T("people.keysTitle")} }

func keysNew(v *visit) error {
	if !v.fresh() {
		return nil
	}
	return v.show("people/key", v.T("people.keyNew"), formPage{v.toKeys(), v.newForm(keyFields(v), "role", v.coveredRoles()[0].String())})
}

// keyMade shows a key's secret, this once.
type keyMade struct {
	Secret, Back string
	// Waits: a second member must agree first.
	Waits bool
}

// keysCreate answers a page and no redirect, since the secret is in no other answer. The key's id comes from the request's:
// a reload makes no second key, and says that there is one.
func keysCreate(v *visit) error {
	f, err := v.readForm(keyFields(v))
	if err != nil {
		return err
	}
	k := &accessv1.ApiKey{DisplayName: f.Value("display_name"), Role: accessv1.Role(accessv1.Role_value[f.Value("role")])}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	// The key works on its last day too.
	k.EndTime = dayEnd(f.day("end"), zone)
	if !f.failed() {
		made, err := v.access.CreateApiKey(v.ctx(), &accessv1.CreateApiKeyRequest{
			Parent: v.scope(), ApiKeyId: strings.ReplaceAll(f.RequestID, "-", ""), ApiKey: k,
		})
		switch {
		case err == nil:
			return v.show("people/keymade", v.T("people.keyMade"), keyMade{
				Secret: made.GetSecret(), Back: v.settingsPath("/keys"), Waits: made.GetState() == accessv1.ApiKeyState_API_KEY_STATE_PENDING_APPROVAL,
			})
		case reasonOf(err) == "API_KEY_EXISTS":
			// The form made a key before, and what it asks for now may be another one: the next press makes that.
			f.RequestID, f.Message = uuid.NewString(), v.T("people.keySentBefore")
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("people/key", v.T("people.keyNew"), formPage{v.toKeys(), f})
}

func (v *visit) keyName() string { return v.scope() + "/apiKeys/" + v.r.PathValue("key") }

// mayRevoke reports whether a key is the member's own, or one of the people that the member manages. The service decides.
func (v *visit) mayRevoke(k *accessv1.ApiKey) bool {
	return v.leads() || k.GetMember() == v.me.GetMember()
}

func keysRevokeConfirm(v *visit) error {
	k, err := v.access.GetApiKey(v.ctx(), &accessv1.GetApiKeyRequest{Name: v.keyName()})
	if err != nil {
		return err
	}
	if !v.mayRevoke(k) {
		return errNoPage
	}
	if !v.fresh() {
		return nil
	}
	return v.revokeConfirmation(k, v.newForm(nil))
}

func (v *visit) revokeConfirmation(k *accessv1.ApiKey, f *form) error {
	return v.confirm(v.T("people.keyRevokeTitle"), confirmation{
		Lead: v.T("people.keyRevokeLead", "name", k.GetDisplayName()), Points: []string{v.T("people.keyRevokeNow"), v.T("people.keyRevokeOthers")},
		Form: f, Button: v.T("people.keyRevoke"), Danger: true, Back: v.settingsPath("/keys"),
	})
}

func keysRevoke(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	k, err := v.access.GetApiKey(v.ctx(), &accessv1.GetApiKeyRequest{Name: v.keyName()})
	if err != nil {
		return err
	}
	_, err = v.access.RevokeApiKey(v.ctx(), &accessv1.RevokeApiKeyRequest{Name: v.keyName()})
	switch {
	case err == nil:
		return v.done("people.key-revoked", v.settingsPath("/keys"))
	case !f.refused(v, err):
		return err
	}
	return v.revokeConfirmation(k, f)
}

// byKey says by which key something was done, by the name that its holder gave it. Keys that are not the collective's, or not
// for the reader to see, have no name here.
func (v *visit) byKey(key string) string {
	if v.keyNames == nil {
		v.keyNames = map[string]string{}
		// Without the list the key is said without its name.
		if list, err := v.access.ListApiKeys(v.ctx(), &accessv1.ListApiKeysRequest{Parent: v.scope(), PageSize: 200}); err == nil {
			for _, k := range list.GetApiKeys() {
				v.keyNames[k.GetName()] = k.GetDisplayName()
			}
		}
	}
	if name := v.keyNames[key]; name != "" {
		return v.T("audit.byKey", "key", name)
	}
	return v.T("audit.byAKey")
}
