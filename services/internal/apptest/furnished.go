package apptest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/url"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
	bankv1 "github.com/cagnotte/cagnotte/proto/cagnotte/bank/v1"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	disputesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/disputes/v1"
	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	payoutsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/payouts/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	refundsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/refunds/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
	"github.com/cagnotte/cagnotte/services/internal/app"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// Furnished is a collective with something of everything that the console shows, and an instance with what its operator
// sees. The program must have a mail server.
type Furnished struct {
	// Slug is the collective's id, and Campaign the name of its open campaign.
	Slug, Campaign string
	// Sessions are tokens of members of the collective, by role, and of the operator. Their proofs are fresh.
	Sessions map[accessv1.Role]string
	// Second is a session of a second owner, who has a passkey and asked for a change of the alert addresses.
	Second string
	// Secrets are texts that only its own members may read.
	Secrets []string

	e *Env
	// owner and treasurer are keys.
	owner, treasurer string
	// rows fill the variables of addresses; the first that fits counts.
	rows []variable
	// queries are what addresses need besides, by pattern.
	queries map[string]string
}

// variable is the value of a variable in addresses that have a part.
type variable struct{ part, name, value string }

// The titles of its campaigns, the payee of its expense, and others that no other text has.
const (
	furnishedName  = "Les Zinzolins"
	furnishedTitle = "Sauver la tuilerie zinzoline"
	furnishedPayee = "Cabinet Zinzolet"
)

// Furnish makes a collective with something of everything.
func (e *Env) Furnish(slug string) *Furnished {
	e.t.Helper()
	h := &Furnished{e: e, Slug: slug, Sessions: map[accessv1.Role]string{}, Secrets: []string{furnishedName, furnishedTitle, furnishedPayee, "4 321,09", "4,321.09"}}
	h.Campaign, h.owner = e.Campaign(slug)
	h.treasurer = e.Key(h.name(), accessv1.Role_ROLE_TREASURER)
	h.settings()
	h.campaigns()
	h.donations()
	h.treasury()
	h.members()
	h.receipts()
	h.instance()
	return h
}

func (h *Furnished) name() string { return "collectives/" + h.Slug }

func (h *Furnished) as(key string) context.Context { return WithKey(h.e.t.Context(), key) }

func (h *Furnished) must(what string, err error) {
	h.e.t.Helper()
	if err != nil {
		h.e.t.Fatalf("apptest: furnish: %s: %v", what, err)
	}
}

// have notes what a variable is in addresses that have a part.
func (h *Furnished) have(part, name, resource string) {
	h.rows = append(h.rows, variable{part, name, resource[strings.LastIndex(resource, "/")+1:]})
}

// Address fills the variables of a pattern of the console, "GET /console/c/{collective}/refunds/{refund}", and returns its
// address; false when there is nothing for one of them.
func (h *Furnished) Address(pattern string) (path string, ok bool) {
	_, path, _ = strings.Cut(pattern, " ")
	path = strings.ReplaceAll(strings.TrimSuffix(path, "/{$}"), "{collective}", h.Slug)
	ok = true
	filled := variables.ReplaceAllStringFunc(path, func(v string) string {
		for _, row := range h.rows {
			if "{"+row.name+"}" == v && strings.Contains(path, row.part) {
				return url.PathEscape(row.value)
			}
		}
		ok = false
		return v
	})
	return filled + h.queries[pattern], ok
}

var variables = regexp.MustCompile(`\{[a-z]+\}`)

// day is one in the collective's time zone, some days ago.
func (h *Furnished) day(ago int) string {
	zone, _ := time.LoadLocation("Europe/Paris")
	return h.e.Clock.Now().In(zone).AddDate(0, 0, -ago).Format(time.DateOnly)
}

func (h *Furnished) settings() {
	_, err := collectivesv1.NewCollectivesServiceClient(h.e.Conn).UpdateCollective(h.as(h.owner), &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{
			Name: h.name(), DisplayName: furnishedName, RefundApproval: Euros(10_00),
			BankAccount: &collectivesv1.BankAccount{Holder: furnishedName, Iban: "FR7630006000011234567890189", Bic: "AGRIFRPP"},
			ChequePayee: furnishedName, PostalAddress: []string{"Mairie", "12000 Vallon"}, AlertEmails: []string{"zinzolins@example.org"},
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name", "refund_approval", "bank_account", "cheque_payee", "postal_address", "alert_emails"}},
	})
	h.must("the collective", err)
}

func (h *Furnished) campaigns() {
	client, news := campaignsv1.NewCampaignsServiceClient(h.e.Conn), campaignsv1.NewNewsServiceClient(h.e.Conn)
	owner := h.as(h.owner)
	for _, id := range []string{"brouillon", "en-pause"} {
		c, err := client.CreateCampaign(owner, &campaignsv1.CreateCampaignRequest{Parent: h.name(), CampaignId: id, Campaign: &campaignsv1.Campaign{
			Texts: map[string]*campaignsv1.CampaignText{"fr": {Title: furnishedTitle, Story: "Une **histoire**."}}, Goal: Euros(4321_09),
			Presets: []*Money{Euros(5_00)}, Minimum: Euros(1_00), Maximum: Euros(800_00),
		}})
		h.must("a draft", err)
		if id == "en-pause" {
			_, err = client.PublishCampaign(owner, &campaignsv1.PublishCampaignRequest{Name: c.GetName()})
			h.must("publish", err)
			_, err = client.PauseCampaign(owner, &campaignsv1.PauseCampaignRequest{Name: c.GetName()})
			h.must("pause", err)
		}
	}
	for _, part := range []string{"/{campaign}/rename", "/{campaign}/delete", "/{campaign}/texts", "/{campaign}/checklist", "/{campaign}/publish", "/campaigns/{campaign}/preview"} {
		h.have(part, "campaign", "brouillon")
	}
	h.have("/{campaign}/resume", "campaign", "en-pause")
	h.have("", "campaign", h.Campaign)

	// It is an event, so that it has a door.
	_, err := client.UpdateCampaign(owner, &campaignsv1.UpdateCampaignRequest{
		Campaign:   &campaignsv1.Campaign{Name: h.Campaign, Event: &campaignsv1.Event{Date: "2026-08-15", Time: "19:30", Place: "Salle des fêtes"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"event"}},
	})
	h.must("an event", err)

	var picture bytes.Buffer
	h.must("a picture", png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 48))))
	stored, err := imagesv1.NewImagesServiceClient(h.e.Conn).CreateImage(owner, &imagesv1.CreateImageRequest{
		Parent: h.name(), Image: &imagesv1.Image{Content: picture.Bytes()},
	})
	h.must("an image", err)
	h.have("", "owner", h.Slug)
	h.have("", "image", stored.GetName())
	h.have("", "width", fmt.Sprint(stored.GetWidths()[0]))

	for _, part := range []string{"/withdraw", ""} {
		n, err := news.CreateNewsItem(owner, &campaignsv1.CreateNewsItemRequest{Parent: h.Campaign, RequestId: uuid.NewString(), NewsItem: &campaignsv1.NewsItem{
			Texts: map[string]*campaignsv1.NewsText{"fr": {Title: "Audience zinzoline", Text: "Le juge a reporté."}},
		}})
		h.must("news", err)
		if part != "" {
			_, err = news.PublishNewsItem(owner, &campaignsv1.PublishNewsItemRequest{Name: n.GetName()})
			h.must("publish news", err)
		}
		h.have(part, "item", n.GetName())
	}
}

// pay gives to the open campaign, and returns the charge.
func (h *Furnished) pay(minor int64, monthly bool) (d *donationsv1.Donation, charge string) {
	req := &donationsv1.CreateDonationRequest{Parent: h.Campaign, Donation: &donationsv1.Donation{Amount: Euros(minor)}, RequestId: uuid.NewString()}
	if monthly {
		req.Recurrence = donationsv1.Recurrence_RECURRENCE_MONTHLY
	}
	d, err := donationsv1.NewDonationsServiceClient(h.e.Conn).CreateDonation(h.e.t.Context(), req)
	h.must("a donation", err)
	for _, s := range h.e.Sim.Sessions("") {
		if s.URL == d.GetCheckoutUrl() {
			h.must("pay", h.e.Sim.Pay(s.ID, stripesim.CardOK))
			for _, paid := range h.e.Sim.Sessions("") {
				if paid.ID == s.ID {
					charge = paid.ChargeID
				}
			}
		}
	}
	h.e.Eventually("the donation is booked", func() bool {
		got, err := donationsv1.NewDonationsServiceClient(h.e.Conn).GetDonation(h.as(h.owner), &donationsv1.GetDonationRequest{Name: d.GetName()})
		return err == nil && got.GetBookTime() != nil
	})
	return d, charge
}

func (h *Furnished) donations() {
	owner := h.as(h.owner)
	d, _ := h.pay(50_00, false)
	h.pay(20_00, true)
	_, disputed := h.pay(30_00, false)
	_, suspect := h.pay(35_00, false)
	_, err := h.e.Sim.Dispute(disputed, stripesim.Disputed{})
	h.must("a dispute", err)
	_, err = h.e.Sim.WarnOfFraud(suspect, "")
	h.must("a warning", err)
	r, err := refundsv1.NewRefundsServiceClient(h.e.Conn).CreateRefund(h.as(h.treasurer), &refundsv1.CreateRefundRequest{
		Parent: d.GetName(), RequestId: uuid.NewString(),
		Refund: &refundsv1.Refund{Reason: refundsv1.RefundReason_REFUND_REASON_REQUESTED_BY_DONOR, Amount: Euros(15_00)},
	})
	h.must("a refund", err)
	h.have("", "refund", r.GetName())
	_, err = treasuryv1.NewTreasuryServiceClient(h.e.Conn).CreatePledge(h.e.t.Context(), &treasuryv1.CreatePledgeRequest{
		Parent: h.Campaign, RequestId: uuid.NewString(), Pledge: &treasuryv1.Pledge{Amount: Euros(25_00), Method: treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER},
	})
	h.must("a pledge", err)
	h.e.Eventually("the dispute is known", func() bool {
		list, err := disputesv1.NewDisputesServiceClient(h.e.Conn).ListDisputes(owner, &disputesv1.ListDisputesRequest{Parent: h.name()})
		h.must("disputes", err)
		for _, d := range list.GetDisputes() {
			h.have("", "dispute", d.GetName())
		}
		return len(list.GetDisputes()) > 0
	})
	list, err := recurringv1.NewRecurringServiceClient(h.e.Conn).ListRecurringDonations(owner, &recurringv1.ListRecurringDonationsRequest{Parent: h.Campaign})
	h.must("monthly donations", err)
	h.have("", "recurring", list.GetRecurringDonations()[0].GetName())
	h.have("/donations/{donation}/reverse", "donation", h.offline(treasuryv1.OfflineMethod_OFFLINE_METHOD_CASH, 10_00))
	h.have("", "donation", d.GetName())
	h.queries = map[string]string{"GET /console/c/{collective}/refunds/new": "?" + url.Values{"donation": {d.GetName()}}.Encode()}

	h.must("payouts", h.e.Sim.SchedulePayouts("", true))
	h.e.Clock.Advance(13 * 24 * time.Hour)
	h.e.Eventually("the payout is known", func() bool {
		list, err := payoutsv1.NewPayoutsServiceClient(h.e.Conn).ListPayouts(owner, &payoutsv1.ListPayoutsRequest{Parent: h.name()})
		h.must("payouts", err)
		for _, p := range list.GetPayouts() {
			h.have("", "payout", p.GetName())
		}
		return len(list.GetPayouts()) > 0
	})
}

// offline enters cash or a cheque.
func (h *Furnished) offline(method treasuryv1.OfflineMethod, minor int64) string {
	d, err := treasuryv1.NewTreasuryServiceClient(h.e.Conn).CreateOfflineDonation(h.as(h.treasurer), &treasuryv1.CreateOfflineDonationRequest{
		Parent: h.Campaign, RequestId: uuid.NewString(),
		OfflineDonation: &treasuryv1.OfflineDonation{Amount: Euros(minor), Method: method, ReceiveDate: h.day(3), Document: "carnet 1/12"},
	})
	h.must("an offline donation", err)
	return d.GetName()
}

func (h *Furnished) treasury() {
	client, bank := treasuryv1.NewTreasuryServiceClient(h.e.Conn), bankv1.NewBankServiceClient(h.e.Conn)
	treasurer := h.as(h.treasurer)
	const cheques = treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE
	cheque := h.offline(cheques, 4321_09)
	h.have("", "cheque", cheque)
	h.offline(cheques, 12_00)
	deposit, err := client.CreateDeposit(treasurer, &treasuryv1.CreateDepositRequest{
		Parent: h.name(), RequestId: uuid.NewString(), Deposit: &treasuryv1.Deposit{Cheques: []string{cheque}, BankDate: h.day(1)},
	})
	h.must("a deposit", err)
	h.have("", "deposit", deposit.GetName())
	expense, err := client.CreateExpense(treasurer, &treasuryv1.CreateExpenseRequest{
		Parent: h.name(), RequestId: uuid.NewString(), Expense: &treasuryv1.Expense{
			Kind: treasuryv1.ExpenseKind_EXPENSE_KIND_LAWYER, Payee: furnishedPayee, Document: "2026-1", DocumentDate: h.day(10),
			Amount: Euros(30_00), Campaign: h.Campaign, Stage: "1",
		},
	})
	h.must("an expense", err)
	h.have("", "expense", expense.GetName())
	attachment, err := client.CreateExpenseAttachment(treasurer, &treasuryv1.CreateExpenseAttachmentRequest{
		Parent: expense.GetName(), RequestId: uuid.NewString(),
		ExpenseAttachment: &treasuryv1.ExpenseAttachment{Content: []byte("%PDF-1.4\n%%EOF\n")},
	})
	h.must("an attachment", err)
	h.have("", "attachment", attachment.GetName())

	line := func(ago int, text, amount string) string {
		day := h.day(ago)
		return fmt.Sprintf("%s/%s/%s;%s;%s", day[8:], day[5:7], day[:4], text, amount)
	}
	imported, err := bank.ImportBankStatement(treasurer, &bankv1.ImportBankStatementRequest{
		Parent: h.name(), RequestId: uuid.NewString(),
		Content: []byte(strings.Join([]string{"Date;Texte;Montant", line(2, "VIR ZINZOLIN", "5,00"), line(2, "VIR AUTRE", "7,00"), line(1, "FRAIS", "-3,00"), line(1, "VIR TROIS", "9,00")}, "\r\n") + "\r\n"),
		Format: &bankv1.ImportBankStatementRequest_Csv{Csv: &bankv1.CsvFormat{
			SkipLines: 1, DateColumn: 1, TextColumns: []int32{2}, AmountColumn: 3,
		}},
	})
	h.must("a statement", err)
	h.have("", "statement", imported.GetBankStatements()[0].GetName())
	lines, err := bank.ListBankLines(treasurer, &bankv1.ListBankLinesRequest{Parent: h.name()})
	h.must("bank lines", err)
	for _, l := range lines.GetBankLines() {
		switch l.GetAmount().GetAmountMinor() {
		case 5_00:
			_, err = bank.MatchBankLine(treasurer, &bankv1.MatchBankLineRequest{
				Name: l.GetName(), RequestId: uuid.NewString(), Target: &bankv1.BankLineTarget{Target: &bankv1.BankLineTarget_Campaign{Campaign: h.Campaign}},
			})
			h.must("match", err)
			h.have("/undo", "line", l.GetName())
		case 9_00:
			h.have("", "line", l.GetName())
		}
	}

	accounts, err := ledgerv1.NewLedgerServiceClient(h.e.Conn).ListAccounts(treasurer, &ledgerv1.ListAccountsRequest{Parent: h.name() + "/ledger"})
	h.must("accounts", err)
	h.have("/books/", "account", accounts.GetAccounts()[0].GetCode())
	assets := map[string]bool{}
	for _, a := range accounts.GetAccounts() {
		assets[a.GetCode()] = a.GetType() == ledgerv1.AccountType_ACCOUNT_TYPE_ASSET
	}
	transactions, err := ledgerv1.NewLedgerServiceClient(h.e.Conn).ListTransactions(treasurer, &ledgerv1.ListTransactionsRequest{Parent: h.name() + "/ledger"})
	h.must("transactions", err)
	// One of which a part may be moved.
	for _, t := range transactions.GetTransactions() {
		for _, entry := range t.GetEntries() {
			if entry.GetDonation() == "" && !assets[entry.GetAccount()] {
				h.have("", "transaction", t.GetName())
			}
		}
	}
	notices, err := noticesv1.NewNoticesServiceClient(h.e.Conn).ListNotices(treasurer, &noticesv1.ListNoticesRequest{Parent: h.name()})
	h.must("notices", err)
	h.have("/console/c/", "notice", notices.GetNotices()[0].GetName())
}

// SignIn gives a person a role in a collective, or the operator's with none, and returns a session's token.
func (e *Env) SignIn(collective, email string, role accessv1.Role) string {
	e.t.Helper()
	link, err := app.CreateMember(e.t.Context(), e.DatabaseURL, e.URL, app.Person{
		Email: email, Name: "Camille", Language: "fr", Role: strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_")), Collective: collective,
	}, e.Clock.Now)
	if err != nil {
		e.t.Fatalf("apptest: make %s a member: %v", email, err)
	}
	at, err := url.Parse(link)
	if err != nil {
		e.t.Fatal(err)
	}
	session, err := accessv1.NewSignInServiceClient(e.Conn).RedeemSignInLink(e.t.Context(), &accessv1.RedeemSignInLinkRequest{Token: at.Query().Get("token")})
	if err != nil {
		e.t.Fatalf("apptest: sign in %s: %v", email, err)
	}
	return session.GetToken()
}

func (h *Furnished) members() {
	for _, role := range []accessv1.Role{accessv1.Role_ROLE_OWNER, accessv1.Role_ROLE_EDITOR, accessv1.Role_ROLE_TREASURER, accessv1.Role_ROLE_AUDITOR} {
		h.Sessions[role] = h.e.SignIn(h.Slug, strings.ToLower(role.String())+"@zinzolins.example", role)
	}
	h.Sessions[accessv1.Role_ROLE_OPERATOR] = h.e.SignIn("", "operator@example.org", accessv1.Role_ROLE_OPERATOR)
	h.Second = h.e.SignIn(h.Slug, "second@zinzolins.example", accessv1.Role_ROLE_OWNER)
	client, keys := accessv1.NewMembersServiceClient(h.e.Conn), accessv1.NewAccessServiceClient(h.e.Conn)
	for parent, part := range map[string]string{h.name(): "/console/c/", "instance": "/console/instance/"} {
		ctx := h.as(h.Second)
		role, invitee := accessv1.Role_ROLE_EDITOR, "invitee-"+h.Slug+"@zinzolins.example"
		if parent == "instance" {
			invitee = "operator-to-be@example.org"
			ctx, role = h.as(h.Sessions[accessv1.Role_ROLE_OPERATOR]), accessv1.Role_ROLE_OPERATOR
		}
		invitation, err := client.CreateInvitation(ctx, &accessv1.CreateInvitationRequest{
			Parent: parent, RequestId: uuid.NewString(), Invitation: &accessv1.Invitation{Email: invitee, Role: role, Language: "fr"},
		})
		h.must("an invitation", err)
		h.have(part, "invitation", invitation.GetName())
		key, err := keys.CreateApiKey(ctx, &accessv1.CreateApiKeyRequest{Parent: parent, ApiKey: &accessv1.ApiKey{DisplayName: "Une clé zinzoline", Role: role}})
		h.must("a key", err)
		h.have(part, "key", key.GetName())
		memberships, err := client.ListMemberships(ctx, &accessv1.ListMembershipsRequest{Parent: parent})
		h.must("memberships", err)
		// The auditor, or the operator: somebody else than most who look.
		for _, m := range memberships.GetMemberships() {
			if parent == "instance" || m.GetRole() == accessv1.Role_ROLE_AUDITOR {
				h.have(part, "membership", m.GetName())
			}
		}
	}
	_, err := collectivesv1.NewCollectivesServiceClient(h.e.Conn).UpdateCollective(h.as(h.Second), &collectivesv1.UpdateCollectiveRequest{
		Collective: &collectivesv1.Collective{Name: h.name(), AlertEmails: []string{"alerte@zinzolins.example"}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"alert_emails"}},
	})
	h.must("a pending change", err)
	changes, err := approvalsv1.NewApprovalsServiceClient(h.e.Conn).ListPendingChanges(h.as(h.Second), &approvalsv1.ListPendingChangesRequest{Parent: h.name()})
	h.must("pending changes", err)
	if len(changes.GetPendingChanges()) == 0 {
		h.e.t.Fatal("apptest: furnish: the change of the alert addresses does not wait")
	}
	h.have("", "change", changes.GetPendingChanges()[0].GetName())

	// What an owner has of their own: a session and a passkey.
	sessions, err := client.ListSessions(h.as(h.Second), &accessv1.ListSessionsRequest{Parent: "members/me"})
	h.must("sessions", err)
	h.have("/me/", "session", sessions.GetSessions()[0].GetName())
	passkey := uuid.NewString()
	member := strings.Split(sessions.GetSessions()[0].GetMember(), "/")[1]
	h.exec(`INSERT INTO access.passkeys (id, member, credential_id, public_key, aaguid, flags, sign_count, display_name, created_at)
		VALUES ($1::uuid, $2::uuid, sha256($1::text::bytea), 'x', '', 0, 0, 'Téléphone zinzolin', now())`, passkey, member)
	h.have("/me/", "passkey", passkey)
}

// receipts declares that the collective issues tax receipts, and issues one.
func (h *Furnished) receipts() {
	client := receiptsv1.NewReceiptsServiceClient(h.e.Conn)
	h.e.Clock.Advance(time.Minute)
	made, err := client.CreateReceiptDeclaration(h.as(h.Sessions[accessv1.Role_ROLE_OWNER]), &receiptsv1.CreateReceiptDeclarationRequest{
		Parent: h.name(), ReceiptDeclaration: &receiptsv1.ReceiptDeclaration{
			BodyName: furnishedName, PostalAddress: []string{"1 rue des Tuiles", "38000 Grenoble"}, Purpose: "La tuilerie",
			Quality: "Œuvre ou organisme d’intérêt général", Articles: []receiptsv1.TaxArticle{receiptsv1.TaxArticle_TAX_ARTICLE_200},
			SignatoryName: "Camille Zinzolin", SignatoryTitle: "trésorière",
		},
	})
	h.must("a declaration", err)
	_, err = approvalsv1.NewApprovalsServiceClient(h.e.Conn).ApprovePendingChange(h.as(h.Second), &approvalsv1.ApprovePendingChangeRequest{Name: made.GetPendingChange()})
	h.must("the declaration's approval", err)
	identity, err := age.GenerateX25519Identity()
	h.must("a key", err)
	key, err := client.CreateSealingKey(h.as(h.Second), &receiptsv1.CreateSealingKeyRequest{
		Parent: h.name(), SealingKey: &receiptsv1.SealingKey{DisplayName: "Coffre zinzolin", Recipient: identity.Recipient().String()},
	})
	h.must("a sealing key", err)
	d, _ := h.pay(42_00, false)
	issued, err := client.IssueReceipt(h.e.t.Context(), &receiptsv1.IssueReceiptRequest{
		Parent: d.GetName(), RequestId: uuid.NewString(), Donor: &receiptsv1.Donor{
			Kind: receiptsv1.DonorKind_DONOR_KIND_INDIVIDUAL, FirstName: "Ada", LastName: "Zinzolin", Street: "2 rue des Tuiles", PostalCode: "38000", City: "Grenoble",
		},
	})
	h.must("a receipt", err)
	h.have("", "receipt", issued.GetReceipt().GetName())
	// Before the API key, whose addresses have the same variable.
	h.rows = append([]variable{{"/receipts/keys/", "key", key.GetName()[strings.LastIndex(key.GetName(), "/")+1:]}}, h.rows...)
}

// exec runs a statement as the owner of the database.
func (h *Furnished) exec(sql string, args ...any) {
	h.e.t.Helper()
	conn, err := pgx.Connect(h.e.t.Context(), h.e.DatabaseURL)
	h.must("connect", err)
	defer conn.Close(context.WithoutCancel(h.e.t.Context()))
	_, err = conn.Exec(h.e.t.Context(), sql, args...)
	h.must(sql, err)
}

func (h *Furnished) instance() {
	ctx := h.as(h.Sessions[accessv1.Role_ROLE_OPERATOR])
	applications := collectivesv1.NewApplicationsServiceClient(h.e.Conn)
	_, err := applications.UpdateOpening(ctx, &collectivesv1.UpdateOpeningRequest{Opening: &collectivesv1.Opening{Name: "instance/opening", Mode: collectivesv1.OpeningMode_OPENING_MODE_REQUEST}})
	h.must("the opening", err)
	a, err := applications.CreateApplication(h.e.t.Context(), &collectivesv1.CreateApplicationRequest{
		Parent: "instance", RequestId: uuid.NewString(), Application: &collectivesv1.Application{
			DisplayName: "Causse zinzolin", CollectiveId: h.Slug + "-causse", Purpose: "Une salle.", Applicant: "Marie", Email: h.Slug + "@causse.example", Language: "fr",
		},
	})
	h.must("an application", err)
	h.have("", "application", a.GetName())
	notices, err := noticesv1.NewNoticesServiceClient(h.e.Conn).ListNotices(ctx, &noticesv1.ListNoticesRequest{Parent: "instance"})
	h.must("the operator's notices", err)
	if len(notices.GetNotices()) > 0 {
		h.have("/console/instance/", "notice", notices.GetNotices()[0].GetName())
	}
	h.have("/console/instance/", "id", h.Slug)
	verification, err := instancev1.NewInstanceServiceClient(h.e.Conn).CreateLedgerVerification(ctx, &instancev1.CreateLedgerVerificationRequest{Parent: "instance", RequestId: uuid.NewString()})
	h.must("a verification", err)
	h.have("", "verification", verification.GetName())
	events := webhooksv1.NewWebhooksServiceClient(h.e.Conn)
	list, err := events.ListWebhookEvents(ctx, &webhooksv1.ListWebhookEventsRequest{Parent: "instance", PageSize: 1})
	h.must("events", err)
	h.have("", "event", list.GetWebhookEvents()[0].GetName())
	health, err := events.ListWebhookHealth(ctx, &webhooksv1.ListWebhookHealthRequest{Parent: "instance"})
	h.must("health", err)
	h.have("/stripe/accounts/", "account", health.GetWebhookHealth()[0].GetName())
}
