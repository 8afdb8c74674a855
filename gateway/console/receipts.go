package console

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
)

// receiptWriters cancel receipts, keep keys and open who gave.
var receiptWriters = []accessv1.Role{owner, treasurer}

// maxDeclarationBytes is a form with a picture of a signature.
const maxDeclarationBytes = 512 << 10

// receiptsSection has tax receipts: what the collective declares, the keys that identities are sealed to, and the list.
func receiptsSection() section {
	const receipts = "/console/c/{collective}/receipts"
	return section{
		name: "receipts",
		nav:  []navEntry{{label: "receipts.nav", icon: "seal", path: "/receipts", roles: bookkeepers}},
		routes: []route{
			{pattern: "GET " + receipts, serve: receiptsList, roles: bookkeepers},
			{pattern: "GET " + receipts + "/declaration", serve: receiptsDeclaration, roles: []accessv1.Role{owner}},
			{pattern: "POST " + receipts + "/declaration", serve: receiptsDeclare, roles: []accessv1.Role{owner}, body: maxDeclarationBytes},
			{pattern: "GET " + receipts + "/withdraw", serve: receiptsWithdrawConfirm, roles: receiptWriters},
			{pattern: "POST " + receipts + "/withdraw", serve: receiptsWithdraw, roles: receiptWriters},
			{pattern: "GET " + receipts + "/keys", serve: receiptsKeys, roles: bookkeepers},
			{pattern: "GET " + receipts + "/keys/new", serve: receiptsKeyNew, roles: receiptWriters},
			{pattern: "POST " + receipts + "/keys/new", serve: receiptsKeyAdd, roles: receiptWriters},
			{pattern: "GET " + receipts + "/keys/{key}/revoke", serve: receiptsKeyRevokeConfirm, roles: receiptWriters},
			{pattern: "POST " + receipts + "/keys/{key}/revoke", serve: receiptsKeyRevoke, roles: receiptWriters},
			{pattern: "POST " + receipts + "/sealed", serve: receiptsSealed, roles: receiptWriters},
			{pattern: "GET " + receipts + "/{receipt}", serve: receiptsOne, roles: bookkeepers},
			{pattern: "POST " + receipts + "/{receipt}/open", serve: receiptsOpen, roles: receiptWriters},
			{pattern: "GET " + receipts + "/{receipt}/cancel", serve: receiptsCancelConfirm, roles: receiptWriters},
			{pattern: "POST " + receipts + "/{receipt}/cancel", serve: receiptsCancel, roles: receiptWriters},
		},
	}
}

func (v *visit) receipts() receiptsv1.ReceiptsServiceClient {
	return receiptsv1.NewReceiptsServiceClient(v.Conn)
}

func (v *visit) toReceipts() link { return link{v.path("/receipts"), v.T("receipts.nav")} }

type receiptsPage struct {
	// Declared says where the declaration is, and Next what is missing before receipts are issued; empty for nothing.
	Declared, Tone, Next string
	// Declare, Approve, Withdraw and Keys are addresses; empty where the reader cannot go.
	Declare, Approve, Withdraw, Keys string
	Year                             string
	Years                            []link
	Standing, Sum, Donated, Canceled string
	Receipts                         []receiptRow
	Pager                            pager
	// Sealed is where the year's sealed identities can be had; empty for nobody.
	Sealed string
	Form   *form
}

type receiptRow struct{ Number, Path, Day, Amount, State, Tone string }

func (v *visit) receiptRow(r *receiptsv1.Receipt) receiptRow {
	row := receiptRow{
		Number: r.GetNumber(), Path: v.path("/receipts/" + lastOf(r.GetName())), Day: v.Day(r.GetIssueDate()), Amount: v.Money(r.GetAmount()),
		State: v.T("receipts." + r.GetState().String()), Tone: "good",
	}
	if r.GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED {
		row.Tone = ""
	}
	return row
}

// current returns the declaration that is active, and the one that waits; nil for none.
func (v *visit) declarations() (active, waiting *receiptsv1.ReceiptDeclaration, err error) {
	list, err := v.receipts().ListReceiptDeclarations(v.ctx(), &receiptsv1.ListReceiptDeclarationsRequest{Parent: v.collective, PageSize: 200})
	if err != nil {
		return nil, nil, err
	}
	for _, d := range list.GetReceiptDeclarations() {
		switch d.GetState() {
		case receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_ACTIVE:
			active = d
		case receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_PENDING:
			waiting = d
		}
	}
	return active, waiting, nil
}

func receiptsList(v *visit) error {
	zone, err := v.zone()
	if err != nil {
		return err
	}
	now := v.Now().In(zone).Year()
	year, err := strconv.Atoi(v.r.URL.Query().Get("year"))
	if err != nil || year < 2000 || year > 9998 {
		year = now
	}
	active, waiting, err := v.declarations()
	if err != nil {
		return err
	}
	keys, err := v.receipts().ListSealingKeys(v.ctx(), &receiptsv1.ListSealingKeysRequest{Parent: v.collective, PageSize: 200})
	if err != nil {
		return err
	}
	totals, err := v.receipts().GetReceiptYear(v.ctx(), &receiptsv1.GetReceiptYearRequest{Name: v.collective + "/receiptYears/" + strconv.Itoa(year)})
	if err != nil {
		return err
	}
	list, err := v.receipts().ListReceipts(v.ctx(), &receiptsv1.ListReceiptsRequest{Parent: v.collective, Year: int32(year), PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := receiptsPage{
		Year: strconv.Itoa(year), Standing: v.Number(totals.GetStandingCount()), Sum: v.Money(totals.GetStandingAmount()),
		Donated: v.Money(totals.GetDonatedAmount()), Canceled: v.Number(totals.GetCanceledCount()), Pager: v.pager(list.GetNextPageToken()),
		Keys: v.path("/receipts/keys"), Form: v.newForm(nil),
	}
	for y := now; len(p.Years) < 4; y-- {
		p.Years = append(p.Years, link{"?year=" + strconv.Itoa(y), strconv.Itoa(y)})
	}
	for _, r := range list.GetReceipts() {
		p.Receipts = append(p.Receipts, v.receiptRow(r))
	}
	if len(p.Receipts) > 0 && v.can(receiptWriters...) {
		p.Sealed = v.path("/receipts/sealed")
	}
	sealing := false
	for _, k := range keys.GetSealingKeys() {
		sealing = sealing || k.GetRevokeTime() == nil
	}
	switch {
	case active != nil:
		p.Declared, p.Tone = v.T("receipts.declared", "body", active.GetBodyName()), "good"
	case waiting != nil:
		p.Declared, p.Tone = v.T("receipts.waits"), "warn"
	default:
		p.Declared = v.T("receipts.undeclared")
	}
	switch {
	case active != nil && !sealing:
		p.Next, p.Tone = v.T("receipts.noKey"), "warn"
	case active != nil && waiting != nil:
		p.Next = v.T("receipts.nextWaits")
	}
	if waiting != nil {
		p.Approve = v.path("/settings/approvals/" + lastOf(waiting.GetPendingChange()))
	} else if v.can(owner) {
		p.Declare = v.path("/receipts/declaration")
	}
	if active != nil && v.can(receiptWriters...) {
		p.Withdraw = v.path("/receipts/withdraw")
	}
	return v.show("receipts/list", v.T("receipts.title"), p)
}

var taxArticles = []struct {
	value   string
	article receiptsv1.TaxArticle
}{
	{"200", receiptsv1.TaxArticle_TAX_ARTICLE_200},
	{"238bis", receiptsv1.TaxArticle_TAX_ARTICLE_238_BIS},
	{"978", receiptsv1.TaxArticle_TAX_ARTICLE_978},
}

func declarationFields(v *visit) []field {
	var articles []option
	for _, a := range taxArticles {
		articles = append(articles, option{Value: a.value, Label: v.T("receipts.article_" + a.value)})
	}
	return []field{
		{Name: "body_name", Label: "receipts.bodyName", Required: true, Max: 120, Autocomplete: "organization"},
		{Name: "postal_address", Label: "receipts.address", Kind: "textarea", Rows: 3, Required: true, Max: 400},
		{Name: "purpose", Label: "receipts.purpose", Hint: "receipts.purposeHint", Kind: "textarea", Rows: 3, Required: true, Max: 300, Spellcheck: true},
		{Name: "quality", Label: "receipts.quality", Hint: "receipts.qualityHint", Required: true, Max: 200},
		{Name: "articles", Label: "receipts.articles", Kind: "checkboxes", Required: true, Options: articles},
		{Name: "siren", Label: "receipts.siren", Hint: "receipts.oneNumber", Max: 11, Mono: true},
		{Name: "rna", Label: "receipts.rna", Max: 10, Mono: true},
		{Name: "signatory_name", Label: "receipts.signatory", Required: true, Max: 80},
		{Name: "signatory_title", Label: "receipts.signatoryTitle", Required: true, Max: 80},
		{Name: "signature_image", Label: "receipts.signature", Hint: "receipts.signatureHint", Kind: "file", Accept: "image/png,image/jpeg"},
		{Name: "retention_years", Label: "receipts.retention", Hint: "receipts.retentionHint", Kind: "radio", Required: true, Options: []option{
			{Value: "6", Label: v.T("receipts.years", "n", "6")}, {Value: "10", Label: v.T("receipts.years", "n", "10")},
		}},
		{Name: "sure", Label: "receipts.sure", Kind: "checkbox", Required: true},
	}
}

func receiptsDeclaration(v *visit) error {
	if !v.fresh() {
		return nil
	}
	active, _, err := v.declarations()
	if err != nil {
		return err
	}
	values := []string{"quality", v.T("receipts.qualityDefault"), "articles", "200", "retention_years", "6"}
	if active != nil {
		values = []string{
			"body_name", active.GetBodyName(), "postal_address", strings.Join(active.GetPostalAddress(), "\n"), "purpose", active.GetPurpose(),
			"quality", active.GetQuality(), "siren", active.GetSiren(), "rna", active.GetRna(), "signatory_name", active.GetSignatoryName(),
			"signatory_title", active.GetSignatoryTitle(), "retention_years", strconv.Itoa(int(active.GetRetentionYears())),
		}
		for _, a := range taxArticles {
			for _, declared := range active.GetArticles() {
				if declared == a.article {
					values = append(values, "articles", a.value)
				}
			}
		}
	}
	return v.show("receipts/declaration", v.T("receipts.declareTitle"), formPage{v.toReceipts(), v.newForm(declarationFields(v), values...)})
}

func receiptsDeclare(v *visit) error {
	f, err := v.readForm(declarationFields(v))
	if err != nil {
		return err
	}
	years, _ := strconv.Atoi(f.Value("retention_years"))
	d := &receiptsv1.ReceiptDeclaration{
		BodyName: f.Value("body_name"), Purpose: strings.Join(strings.Fields(f.Value("purpose")), " "), Quality: f.Value("quality"), Siren: f.Value("siren"),
		Rna: f.Value("rna"), SignatoryName: f.Value("signatory_name"), SignatoryTitle: f.Value("signatory_title"), RetentionYears: int32(years),
	}
	for line := range strings.Lines(f.Value("postal_address")) {
		if line = strings.TrimSpace(line); line != "" {
			d.PostalAddress = append(d.PostalAddress, line)
		}
	}
	for _, a := range taxArticles {
		for _, chosen := range f.Values("articles") {
			if chosen == a.value {
				d.Articles = append(d.Articles, a.article)
			}
		}
	}
	if picture, ok := f.file("signature_image"); ok {
		d.SignatureImage = picture.Body
	}
	if !f.failed() {
		made, err := v.receipts().CreateReceiptDeclaration(v.ctx(), &receiptsv1.CreateReceiptDeclarationRequest{Parent: v.collective, ReceiptDeclaration: d})
		switch {
		case err == nil:
			return v.done("receipts.declared", v.path("/settings/approvals/"+lastOf(made.GetPendingChange())))
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("receipts/declaration", v.T("receipts.declareTitle"), formPage{v.toReceipts(), f})
}

func receiptsWithdrawConfirm(v *visit) error { return v.withdrawConfirmation(v.newForm(nil)) }

func (v *visit) withdrawConfirmation(f *form) error {
	active, _, err := v.declarations()
	if err != nil {
		return err
	}
	if active == nil {
		return errNoPage
	}
	return v.confirm(v.T("receipts.withdrawTitle"), confirmation{
		Lead: v.T("receipts.withdrawLead", "body", active.GetBodyName()), Points: []string{v.T("receipts.withdrawNow"), v.T("receipts.withdrawOld")},
		Form: f, Button: v.T("receipts.withdraw"), Danger: true, Back: v.path("/receipts"),
	})
}

func receiptsWithdraw(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	active, _, err := v.declarations()
	if err != nil {
		return err
	}
	if active != nil {
		_, err := v.receipts().WithdrawReceiptDeclaration(v.ctx(), &receiptsv1.WithdrawReceiptDeclarationRequest{Name: active.GetName()})
		if err != nil && f.refused(v, err) {
			return v.withdrawConfirmation(f)
		}
		if err != nil {
			return err
		}
	}
	return v.done("receipts.withdrawn", v.path("/receipts"))
}

type sealingKeysPage struct {
	Up   link
	New  string
	Keys []sealingKeyRow
}

type sealingKeyRow struct{ Name, Recipient, Who, Day, State, Tone, Revoke string }

func receiptsKeys(v *visit) error {
	list, err := v.receipts().ListSealingKeys(v.ctx(), &receiptsv1.ListSealingKeysRequest{Parent: v.collective, PageSize: 200})
	if err != nil {
		return err
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	p := sealingKeysPage{Up: v.toReceipts()}
	if v.can(receiptWriters...) {
		p.New = v.path("/receipts/keys/new")
	}
	for _, k := range list.GetSealingKeys() {
		row := sealingKeyRow{
			Name: k.GetDisplayName(), Recipient: k.GetRecipient(), Who: k.GetCreatorDisplayName(), Day: v.Date(k.GetCreateTime().AsTime().In(zone)),
			State: v.T("receipts.keySeals"), Tone: "good",
		}
		if k.GetRevokeTime() != nil {
			row.State, row.Tone = v.T("receipts.keyRevoked"), ""
		} else if v.can(receiptWriters...) {
			row.Revoke = v.path("/receipts/keys/" + lastOf(k.GetName()) + "/revoke")
		}
		p.Keys = append(p.Keys, row)
	}
	return v.show("receipts/keys", v.T("receipts.keysTitle"), p)
}

var sealingKeyFields = []field{
	{Name: "display_name", Label: "receipts.keyName", Hint: "receipts.keyNameHint", Required: true, Max: 80},
	{Name: "recipient", Label: "receipts.keyRecipient", Hint: "receipts.keyRecipientHint", Required: true, Max: 100, Mono: true},
	{Name: "kept", Label: "receipts.keyKept", Kind: "checkbox", Required: true},
}

func (v *visit) toSealingKeys() link {
	return link{v.path("/receipts/keys"), v.T("receipts.keysTitle")}
}

func receiptsKeyNew(v *visit) error {
	if !v.fresh() {
		return nil
	}
	v.age = true
	return v.show("receipts/key", v.T("receipts.keyNew"), formPage{v.toSealingKeys(), v.newForm(sealingKeyFields)})
}

func receiptsKeyAdd(v *visit) error {
	f, err := v.readForm(sealingKeyFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err := v.receipts().CreateSealingKey(v.ctx(), &receiptsv1.CreateSealingKeyRequest{
			Parent: v.collective, SealingKey: &receiptsv1.SealingKey{DisplayName: f.Value("display_name"), Recipient: f.Value("recipient")},
		})
		switch {
		case err == nil:
			return v.done("receipts.key-added", v.path("/receipts/keys"))
		case !f.refused(v, err):
			return err
		}
	}
	// A secret key that was pasted is not sent back.
	if strings.Contains(strings.ToUpper(f.Value("recipient")), "AGE-SECRET-KEY") {
		f.set("recipient", "")
	}
	v.age = true
	return v.refuse("receipts/key", v.T("receipts.keyNew"), formPage{v.toSealingKeys(), f})
}

func (v *visit) sealingKey() (*receiptsv1.SealingKey, error) {
	return v.receipts().GetSealingKey(v.ctx(), &receiptsv1.GetSealingKeyRequest{Name: v.collective + "/sealingKeys/" + v.r.PathValue("key")})
}

func (v *visit) sealingKeyRevocation(k *receiptsv1.SealingKey, f *form) error {
	return v.confirm(v.T("receipts.keyRevokeTitle"), confirmation{
		Lead: v.T("receipts.keyRevokeLead", "name", k.GetDisplayName()), Points: []string{v.T("receipts.keyRevokeNew"), v.T("receipts.keyRevokeOld")},
		Form: f, Button: v.T("receipts.keyRevoke"), Danger: true, Back: v.path("/receipts/keys"),
	})
}

func receiptsKeyRevokeConfirm(v *visit) error {
	k, err := v.sealingKey()
	if err != nil {
		return err
	}
	return v.sealingKeyRevocation(k, v.newForm(nil))
}

func receiptsKeyRevoke(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	k, err := v.sealingKey()
	if err != nil {
		return err
	}
	_, err = v.receipts().RevokeSealingKey(v.ctx(), &receiptsv1.RevokeSealingKeyRequest{Name: k.GetName()})
	switch {
	case err == nil:
		return v.done("receipts.key-revoked", v.path("/receipts/keys"))
	case !f.refused(v, err):
		return err
	}
	return v.sealingKeyRevocation(k, f)
}

type receiptPage struct {
	Up link
	receiptRow
	Kind, Method, Donated, Donation, Reason, Note string
	// Replaces and ReplacedBy are links; their URL is empty for none.
	Replaces, ReplacedBy link
	Hash, Erased         string
	// Open and Cancel are addresses; empty where nothing can be done.
	Open, Cancel string
	Form         *form
	// Sealed is the identity for the script, on the page that opens it.
	Sealed string
}

// openedField is a row that the script fills.
type openedField struct{ Name, Label string }

// OpenedFields are the rows of an identity, by the names that they were sealed under.
func (p receiptPage) OpenedFields() (rows []openedField) {
	for _, name := range []string{"first_name", "last_name", "company_name", "legal_form", "siren", "street", "postal_code", "city", "country"} {
		rows = append(rows, openedField{name, p.Form.T("receipts.f_" + name)})
	}
	return rows
}

func (v *visit) receiptName() string { return v.collective + "/receipts/" + v.r.PathValue("receipt") }

func (v *visit) receiptPage() (p receiptPage, r *receiptsv1.Receipt, err error) {
	if r, err = v.receipts().GetReceipt(v.ctx(), &receiptsv1.GetReceiptRequest{Name: v.receiptName()}); err != nil {
		return p, nil, err
	}
	zone, err := v.zone()
	if err != nil {
		return p, nil, err
	}
	p = receiptPage{
		Up: v.toReceipts(), receiptRow: v.receiptRow(r), Kind: v.T("receipts." + r.GetDonorKind().String()), Donated: v.Day(r.GetDonationDate()),
		Note: r.GetCancelNote(), Hash: r.GetPdfSha256(), Form: v.newForm(nil),
	}
	if r.GetDonation() != "" {
		p.Donation = v.path("/donations/" + lastOf(r.GetDonation()))
	}
	if r.GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED {
		p.Reason = v.T("receipts." + r.GetCancelReason().String())
	}
	for _, other := range []struct {
		name string
		to   *link
	}{{r.GetReplaces(), &p.Replaces}, {r.GetReplacedBy(), &p.ReplacedBy}} {
		if other.name == "" {
			continue
		}
		o, err := v.receipts().GetReceipt(v.ctx(), &receiptsv1.GetReceiptRequest{Name: other.name})
		if err != nil {
			return p, nil, err
		}
		*other.to = link{v.path("/receipts/" + lastOf(other.name)), o.GetNumber()}
	}
	if r.GetEraseTime() != nil {
		p.Erased = v.Date(r.GetEraseTime().AsTime().In(zone))
	}
	if v.can(receiptWriters...) {
		if p.Erased == "" {
			p.Open = v.path("/receipts/" + lastOf(r.GetName()) + "/open")
		}
		if r.GetState() == receiptsv1.ReceiptState_RECEIPT_STATE_ISSUED {
			p.Cancel = v.path("/receipts/" + lastOf(r.GetName()) + "/cancel")
		}
	}
	return p, r, nil
}

func receiptsOne(v *visit) error {
	p, r, err := v.receiptPage()
	if err != nil {
		return err
	}
	return v.show("receipts/one", v.T("receipts.oneTitle", "number", r.GetNumber()), p)
}

// receiptsOpen hands out the sealed identity, which the browser opens with a key that does not leave it.
func receiptsOpen(v *visit) error {
	if !v.fresh() {
		return nil
	}
	p, r, err := v.receiptPage()
	if err != nil {
		return err
	}
	sealed, err := v.receipts().ReadSealedDonor(v.ctx(), &receiptsv1.ReadSealedDonorRequest{Name: r.GetName()})
	if err != nil {
		return err
	}
	p.Sealed, v.age = sealed.GetSealed(), true
	p.Up = link{v.path("/receipts/" + lastOf(r.GetName())), r.GetNumber()}
	return v.show("receipts/open", v.T("receipts.openTitle", "number", r.GetNumber()), p)
}

// receiptsSealed answers the sealed identities of a year as a file, for `cagnotte receipts open`.
func receiptsSealed(v *visit) error {
	if !v.fresh() {
		return nil
	}
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	year, err := strconv.Atoi(f.Value("year"))
	if err != nil {
		return errNoPage
	}
	var file strings.Builder
	for token := ""; ; {
		resp, err := v.receipts().ExportSealedDonors(v.ctx(), &receiptsv1.ExportSealedDonorsRequest{
			Parent: v.collective, Year: int32(year), PageSize: 200, PageToken: token,
		})
		if err != nil {
			return err
		}
		for _, d := range resp.GetSealedDonors() {
			line, err := json.Marshal(map[string]string{"receipt": d.GetReceipt(), "number": d.GetNumber(), "sealed": d.GetSealed()})
			if err != nil {
				return err
			}
			file.Write(append(line, '\n'))
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Content-Disposition", `attachment; filename="recus-`+strconv.Itoa(year)+`.jsonl"`)
	h.Set("Cache-Control", "no-store")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write([]byte(file.String()))
	return nil
}

var receiptCancelFields = []field{
	{Name: "note", Label: "receipts.cancelNote", Hint: "receipts.cancelNoteHint", Required: true, Max: 200},
	{Name: "reissuable", Label: "receipts.cancelReissuable", Kind: "checkbox"},
}

func (v *visit) receiptCancellation(f *form) error {
	p, r, err := v.receiptPage()
	if err != nil {
		return err
	}
	if p.Cancel == "" {
		return v.redirect(p.Path)
	}
	return v.confirm(v.T("receipts.cancelTitle", "number", r.GetNumber()), confirmation{
		Lead: v.T("receipts.cancelLead", "amount", v.Money(r.GetAmount())), Points: []string{v.T("receipts.cancelNumber"), v.T("receipts.cancelTell")},
		Form: f, Button: v.T("receipts.cancel"), Danger: true, Back: p.Path,
	})
}

func receiptsCancelConfirm(v *visit) error {
	return v.receiptCancellation(v.newForm(receiptCancelFields, "reissuable", "on"))
}

func receiptsCancel(v *visit) error {
	f, err := v.readForm(receiptCancelFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err := v.receipts().CancelReceipt(v.ctx(), &receiptsv1.CancelReceiptRequest{
			Name: v.receiptName(), Note: f.Value("note"), Reissuable: f.Checked("reissuable"),
		})
		switch {
		case err == nil:
			return v.done("receipts.canceled", v.path("/receipts/"+v.r.PathValue("receipt")))
		case !f.refused(v, err):
			return err
		}
	}
	return v.receiptCancellation(f)
}
