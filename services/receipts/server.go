package receipts

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
	receiptsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/receipts/v1"
	"github.com/cagnotte/cagnotte/services/campaigns"
	"github.com/cagnotte/cagnotte/services/donations"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	receiptsv1.UnimplementedReceiptsServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) receiptsv1.ReceiptsServiceServer { return &server{service: s} }

// CreateReceiptDeclaration ignores the output-only fields.
func (s *server) CreateReceiptDeclaration(ctx context.Context, req *receiptsv1.CreateReceiptDeclarationRequest) (*receiptsv1.ReceiptDeclaration, error) {
	in := req.GetReceiptDeclaration()
	d := Declaration{
		Collective: strings.TrimPrefix(req.GetParent(), "collectives/"), BodyName: in.GetBodyName(), PostalAddress: in.GetPostalAddress(),
		Purpose: in.GetPurpose(), Quality: in.GetQuality(), SIREN: in.GetSiren(), RNA: in.GetRna(), SignatoryName: in.GetSignatoryName(),
		SignatoryTitle: in.GetSignatoryTitle(), SignatureImage: in.GetSignatureImage(), RetentionYears: int(in.GetRetentionYears()),
	}
	for _, a := range in.GetArticles() {
		d.Articles = append(d.Articles, articlesFromProto[a])
	}
	made, err := s.service.Declare(ctx, d)
	return declarationToProto(made, err)
}

func (s *server) GetReceiptDeclaration(ctx context.Context, req *receiptsv1.GetReceiptDeclarationRequest) (*receiptsv1.ReceiptDeclaration, error) {
	collective, id, err := parseName(req.GetName(), "receiptDeclarations")
	if err != nil {
		return nil, err
	}
	return declarationToProto(s.service.GetDeclaration(ctx, collective, id))
}

func (s *server) ListReceiptDeclarations(ctx context.Context, req *receiptsv1.ListReceiptDeclarationsRequest) (*receiptsv1.ListReceiptDeclarationsResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	found, next, err := page.List(req, req.GetParent()+"/receiptDeclarations", newest, func(after Position, count int) ([]Declaration, error) {
		return s.service.ListDeclarations(ctx, collective, after, count)
	}, func(d Declaration) Position { return Position{d.CreateTime, d.ID} })
	if err != nil {
		return nil, err
	}
	resp := &receiptsv1.ListReceiptDeclarationsResponse{NextPageToken: next}
	for _, d := range found {
		d.SignatureImage = nil
		p, _ := declarationToProto(d, nil)
		resp.ReceiptDeclarations = append(resp.ReceiptDeclarations, p)
	}
	return resp, nil
}

func (s *server) WithdrawReceiptDeclaration(ctx context.Context, req *receiptsv1.WithdrawReceiptDeclarationRequest) (*receiptsv1.ReceiptDeclaration, error) {
	collective, id, err := parseName(req.GetName(), "receiptDeclarations")
	if err != nil {
		return nil, err
	}
	return declarationToProto(s.service.Withdraw(ctx, collective, id))
}

func (s *server) CreateSealingKey(ctx context.Context, req *receiptsv1.CreateSealingKeyRequest) (*receiptsv1.SealingKey, error) {
	return keyToProto(s.service.AddKey(ctx, SealingKey{
		Collective: strings.TrimPrefix(req.GetParent(), "collectives/"), DisplayName: req.GetSealingKey().GetDisplayName(),
		Recipient: req.GetSealingKey().GetRecipient(),
	}))
}

func (s *server) GetSealingKey(ctx context.Context, req *receiptsv1.GetSealingKeyRequest) (*receiptsv1.SealingKey, error) {
	collective, id, err := parseName(req.GetName(), "sealingKeys")
	if err != nil {
		return nil, err
	}
	return keyToProto(s.service.GetKey(ctx, collective, id))
}

func (s *server) ListSealingKeys(ctx context.Context, req *receiptsv1.ListSealingKeysRequest) (*receiptsv1.ListSealingKeysResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	found, next, err := page.List(req, req.GetParent()+"/sealingKeys", newest, func(after Position, count int) ([]SealingKey, error) {
		return s.service.ListKeys(ctx, collective, after, count)
	}, func(k SealingKey) Position { return Position{k.CreateTime, k.ID} })
	if err != nil {
		return nil, err
	}
	resp := &receiptsv1.ListSealingKeysResponse{NextPageToken: next}
	for _, k := range found {
		p, _ := keyToProto(k, nil)
		resp.SealingKeys = append(resp.SealingKeys, p)
	}
	return resp, nil
}

func (s *server) RevokeSealingKey(ctx context.Context, req *receiptsv1.RevokeSealingKeyRequest) (*receiptsv1.SealingKey, error) {
	collective, id, err := parseName(req.GetName(), "sealingKeys")
	if err != nil {
		return nil, err
	}
	return keyToProto(s.service.RevokeKey(ctx, collective, id))
}

func (s *server) GetReceiptOffer(ctx context.Context, req *receiptsv1.GetReceiptOfferRequest) (*receiptsv1.ReceiptOffer, error) {
	subject, err := parseSubject(strings.TrimSuffix(req.GetName(), "/receiptOffer"), req.GetDonationYear())
	if err != nil {
		return nil, err
	}
	return offerToProto(s.service.GetOffer(ctx, subject))
}

func (s *server) EraseReceiptDonor(ctx context.Context, req *receiptsv1.EraseReceiptDonorRequest) (*receiptsv1.ReceiptOffer, error) {
	subject, err := parseSubject(strings.TrimSuffix(req.GetName(), "/receiptOffer"), 0)
	if err != nil {
		return nil, err
	}
	return offerToProto(s.service.Erase(ctx, subject))
}

// parseSubject reads the name of a donation, a monthly donation or a pledge.
func parseSubject(name string, year int32) (s Subject, err error) {
	switch {
	case strings.Contains(name, "/recurringDonations/"):
		s.Campaign, s.Recurring, err = donations.ParseRecurringName(name)
		s.Year = int(year)
	case strings.Contains(name, "/pledges/"):
		parent, last, _ := strings.Cut(name, "/pledges/")
		if s.Campaign, err = campaigns.ParseName(parent); err != nil {
			return s, err
		}
		if s.Pledge, err = uuid.Parse(last); err != nil {
			err = errs.NotFound(name)
		}
	default:
		s.Campaign, s.Donation, err = donations.ParseName(name)
	}
	return s, err
}

func offerToProto(o Offer, err error) (*receiptsv1.ReceiptOffer, error) {
	if err != nil {
		return nil, err
	}
	p := &receiptsv1.ReceiptOffer{
		Name: o.Subject.Name() + "/receiptOffer", State: offersToProto[o.State], Number: o.Number, Erasable: o.Erasable, Amount: wire.Money(o.Amount),
		DonationYear: int32(o.Subject.Year), PaymentCount: int32(len(o.Payments)), MailOffered: o.Mail, YearOver: o.Over && o.Subject.Recurring != uuid.Nil,
	}
	for _, year := range o.Years {
		p.DonationYears = append(p.DonationYears, int32(year))
	}
	for _, kind := range o.Kinds {
		p.DonorKinds = append(p.DonorKinds, kindsToProto[kind])
	}
	return p, nil
}

func (s *server) IssueReceipt(ctx context.Context, req *receiptsv1.IssueReceiptRequest) (*receiptsv1.IssueReceiptResponse, error) {
	subject, err := parseSubject(req.GetParent(), req.GetDonationYear())
	if err != nil {
		return nil, err
	}
	request, err := uuid.Parse(req.GetRequestId())
	if err != nil {
		return nil, errs.Invalid("request_id", "must be a UUID")
	}
	in := req.GetDonor()
	r, pdf, mailed, err := s.service.Issue(ctx, subject, request, Donor{
		Kind: kindsFromProto[in.GetKind()], FirstName: in.GetFirstName(), LastName: in.GetLastName(), CompanyName: in.GetCompanyName(),
		LegalForm: in.GetLegalForm(), SIREN: in.GetSiren(), Street: in.GetStreet(), PostalCode: in.GetPostalCode(), City: in.GetCity(),
		Country: in.GetCountry(),
	}, req.GetEmail())
	if err != nil {
		return nil, err
	}
	p, _ := receiptToProto(r, nil)
	return &receiptsv1.IssueReceiptResponse{Receipt: p, Pdf: pdf, Mail: mailsToProto[mailed]}, nil
}

func (s *server) GetReceipt(ctx context.Context, req *receiptsv1.GetReceiptRequest) (*receiptsv1.Receipt, error) {
	collective, id, err := parseName(req.GetName(), "receipts")
	if err != nil {
		return nil, err
	}
	return receiptToProto(s.service.Get(ctx, collective, id))
}

func (s *server) ListReceipts(ctx context.Context, req *receiptsv1.ListReceiptsRequest) (*receiptsv1.ListReceiptsResponse, error) {
	filter := Filter{Collective: strings.TrimPrefix(req.GetParent(), "collectives/"), Year: int(req.GetYear())}
	if req.GetDonation() != "" {
		_, donation, err := donations.ParseName(req.GetDonation())
		if err != nil {
			return nil, err
		}
		filter.Donation = donation
	}
	found, next, err := page.List(req, []any{"receipts", filter}, highest, func(after NumberPosition, count int) ([]Receipt, error) {
		return s.service.List(ctx, filter, after, count)
	}, func(r Receipt) NumberPosition { return NumberPosition{r.Year, r.Sequence} })
	if err != nil {
		return nil, err
	}
	resp := &receiptsv1.ListReceiptsResponse{NextPageToken: next}
	for _, r := range found {
		p, _ := receiptToProto(r, nil)
		resp.Receipts = append(resp.Receipts, p)
	}
	return resp, nil
}

func (s *server) GetReceiptYear(ctx context.Context, req *receiptsv1.GetReceiptYearRequest) (*receiptsv1.ReceiptYear, error) {
	parent, last, _ := strings.Cut(req.GetName(), "/receiptYears/")
	year, err := strconv.Atoi(last)
	if err != nil || year < 1 || year > 9998 {
		return nil, errs.NotFound(req.GetName())
	}
	y, err := s.service.GetYear(ctx, strings.TrimPrefix(parent, "collectives/"), year)
	if err != nil {
		return nil, err
	}
	return &receiptsv1.ReceiptYear{
		Name: y.Name(), IssuedCount: y.Issued, CanceledCount: y.Canceled, StandingCount: y.Issued - y.Canceled,
		StandingAmount: euros(y.StandingMinor), DonatedAmount: euros(y.GaveMinor),
	}, nil
}

// euros is an amount of receipts, which are all in euros.
func euros(minor int64) *moneyv1.Money {
	return &moneyv1.Money{CurrencyCode: "EUR", AmountMinor: minor}
}

func (s *server) CancelReceipt(ctx context.Context, req *receiptsv1.CancelReceiptRequest) (*receiptsv1.Receipt, error) {
	collective, id, err := parseName(req.GetName(), "receipts")
	if err != nil {
		return nil, err
	}
	return receiptToProto(s.service.Cancel(ctx, collective, id, req.GetNote(), req.GetReissuable()))
}

func (s *server) ReadSealedDonor(ctx context.Context, req *receiptsv1.ReadSealedDonorRequest) (*receiptsv1.SealedDonor, error) {
	collective, id, err := parseName(req.GetName(), "receipts")
	if err != nil {
		return nil, err
	}
	d, err := s.service.ReadSealed(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return sealedToProto(collective, d), nil
}

func (s *server) ExportSealedDonors(ctx context.Context, req *receiptsv1.ExportSealedDonorsRequest) (*receiptsv1.ExportSealedDonorsResponse, error) {
	collective, year := strings.TrimPrefix(req.GetParent(), "collectives/"), int(req.GetYear())
	filter := []any{"sealedDonors", collective, year}
	found, next, err := page.List(req, filter, int64(0), func(after int64, count int) ([]SealedDonor, error) {
		return s.service.ExportSealed(ctx, collective, year, after, count, page.Size(req))
	}, func(d SealedDonor) int64 { return d.Sequence })
	if err != nil {
		return nil, err
	}
	resp := &receiptsv1.ExportSealedDonorsResponse{NextPageToken: next}
	for _, d := range found {
		resp.SealedDonors = append(resp.SealedDonors, sealedToProto(collective, d))
	}
	return resp, nil
}

func (s *server) ExportStaleSealedDonors(ctx context.Context, req *receiptsv1.ExportStaleSealedDonorsRequest) (*receiptsv1.ExportStaleSealedDonorsResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	found, next, err := page.List(req, req.GetParent()+"/staleSealedDonors", NumberPosition{}, func(after NumberPosition, count int) ([]SealedDonor, error) {
		return s.service.ExportStale(ctx, collective, after, count, page.Size(req))
	}, func(d SealedDonor) NumberPosition { return NumberPosition{d.Year, d.Sequence} })
	if err != nil {
		return nil, err
	}
	resp := &receiptsv1.ExportStaleSealedDonorsResponse{NextPageToken: next}
	for _, d := range found {
		resp.SealedDonors = append(resp.SealedDonors, sealedToProto(collective, d))
	}
	return resp, nil
}

func (s *server) ResealDonors(ctx context.Context, req *receiptsv1.ResealDonorsRequest) (*receiptsv1.ResealDonorsResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	keys := make([]uuid.UUID, len(req.GetSealingKeys()))
	for i, name := range req.GetSealingKeys() {
		of, id, err := parseName(name, "sealingKeys")
		if err != nil || of != collective {
			return nil, errs.Invalid("sealing_keys", "must be keys of the collective")
		}
		keys[i] = id
	}
	donors := make([]Resealed, len(req.GetResealedDonors()))
	for i, d := range req.GetResealedDonors() {
		field := "resealed_donors[" + strconv.Itoa(i) + "]."
		of, id, err := parseName(d.GetReceipt(), "receipts")
		if err != nil || of != collective {
			return nil, errs.Invalid(field+"receipt", "must be a receipt of the collective")
		}
		before, err := hex.DecodeString(d.GetSealedBeforeSha256())
		if err != nil {
			return nil, errs.Invalid(field+"sealed_before_sha256", "must be a hash")
		}
		donors[i] = Resealed{Receipt: id, Before: before, Sealed: d.GetSealed()}
	}
	count, err := s.service.Reseal(ctx, collective, keys, donors)
	if err != nil {
		return nil, err
	}
	return &receiptsv1.ResealDonorsResponse{ResealedCount: int32(count)}, nil
}

func sealedToProto(collective string, d SealedDonor) *receiptsv1.SealedDonor {
	p := &receiptsv1.SealedDonor{Receipt: receiptName(collective, d.Receipt), Number: d.Number(), Sealed: d.Sealed}
	for _, key := range d.SealedTo {
		p.SealingKeys = append(p.SealingKeys, SealingKey{Collective: collective, ID: key}.Name())
	}
	return p
}

// parseName splits `collectives/{collective}/{resource}/{uuid}`.
func parseName(name, resource string) (collective string, id uuid.UUID, err error) {
	parent, last, _ := strings.Cut(name, "/"+resource+"/")
	if id, err = uuid.Parse(last); err != nil {
		return "", uuid.Nil, errs.NotFound(name)
	}
	return strings.TrimPrefix(parent, "collectives/"), id, nil
}

func declarationToProto(d Declaration, err error) (*receiptsv1.ReceiptDeclaration, error) {
	if err != nil {
		return nil, err
	}
	p := &receiptsv1.ReceiptDeclaration{
		Name: d.Name(), BodyName: d.BodyName, PostalAddress: d.PostalAddress, Purpose: d.Purpose, Quality: d.Quality, Siren: d.SIREN, Rna: d.RNA,
		SignatoryName: d.SignatoryName, SignatoryTitle: d.SignatoryTitle, SignatureImage: d.SignatureImage, RetentionYears: int32(d.RetentionYears),
		State: declarationStates[d.State], PendingChange: d.PendingChange, CreateTime: wire.Time(d.CreateTime),
		ActivateTime: wire.Time(d.ActivateTime), EndTime: wire.Time(d.EndTime),
	}
	for _, a := range d.Articles {
		p.Articles = append(p.Articles, articlesToProto[a])
	}
	return p, nil
}

func keyToProto(k SealingKey, err error) (*receiptsv1.SealingKey, error) {
	if err != nil {
		return nil, err
	}
	return &receiptsv1.SealingKey{
		Name: k.Name(), DisplayName: k.DisplayName, Recipient: k.Recipient, Creator: k.Creator, CreatorDisplayName: k.CreatorName,
		CreateTime: wire.Time(k.CreateTime), RevokeTime: wire.Time(k.RevokeTime),
	}, nil
}

func receiptToProto(r Receipt, err error) (*receiptsv1.Receipt, error) {
	if err != nil {
		return nil, err
	}
	p := &receiptsv1.Receipt{
		Name: r.Name(), Number: r.Number(), Year: int32(r.Year), DonorKind: kindsToProto[r.Kind],
		Amount: wire.Money(r.Amount), PaymentMethod: r.PaymentMethod, DonationDate: r.DonationDate.Format(time.DateOnly),
		IssueDate: r.IssueDate.Format(time.DateOnly), Declaration: Declaration{Collective: r.Collective, ID: r.Declaration}.Name(),
		PdfSha256: hex.EncodeToString(r.PDFSHA256), State: statesToProto[r.State], CancelReason: cancelReasons[r.CancelReason],
		CancelNote: r.CancelNote, Reissuable: r.Reissuable, CancelTime: wire.Time(r.CancelTime), CreateTime: wire.Time(r.CreateTime),
		EraseTime: wire.Time(r.EraseTime),
	}
	switch {
	case r.Subject.Recurring != uuid.Nil:
		p.RecurringDonation, p.DonationYear = r.Subject.Name(), int32(r.Subject.Year)
	case r.Subject.Pledge != uuid.Nil:
		p.Pledge = r.Subject.Name()
	default:
		p.Donation = r.Subject.Name()
	}
	for _, paid := range r.Payments {
		parent := campaigns.Name{Collective: r.Collective, Campaign: paid.Campaign}.String()
		one := &receiptsv1.ReceiptPayment{
			Amount: wire.Money(paid.Amount), DonationDate: paid.Date.Format(time.DateOnly), PaymentMethod: paid.Method,
		}
		if paid.Donation != uuid.Nil {
			one.Donation = parent + "/donations/" + paid.Donation.String()
		} else {
			one.OfflineDonation = parent + "/offlineDonations/" + paid.OfflineDonation.String()
		}
		p.Payments = append(p.Payments, one)
	}
	if r.Replaces != uuid.Nil {
		p.Replaces = receiptName(r.Collective, r.Replaces)
	}
	if r.ReplacedBy != uuid.Nil {
		p.ReplacedBy = receiptName(r.Collective, r.ReplacedBy)
	}
	for _, key := range r.SealedTo {
		p.SealingKeys = append(p.SealingKeys, SealingKey{Collective: r.Collective, ID: key}.Name())
	}
	return p, nil
}

var (
	articlesToProto = map[Article]receiptsv1.TaxArticle{
		Article200:    receiptsv1.TaxArticle_TAX_ARTICLE_200,
		Article238Bis: receiptsv1.TaxArticle_TAX_ARTICLE_238_BIS,
		Article978:    receiptsv1.TaxArticle_TAX_ARTICLE_978,
	}
	articlesFromProto = inverse(articlesToProto)
	kindsToProto      = map[DonorKind]receiptsv1.DonorKind{
		Individual: receiptsv1.DonorKind_DONOR_KIND_INDIVIDUAL,
		Company:    receiptsv1.DonorKind_DONOR_KIND_COMPANY,
	}
	kindsFromProto    = inverse(kindsToProto)
	declarationStates = map[DeclarationState]receiptsv1.ReceiptDeclarationState{
		DeclarationPending:   receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_PENDING,
		DeclarationActive:    receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_ACTIVE,
		DeclarationReplaced:  receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_REPLACED,
		DeclarationWithdrawn: receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_WITHDRAWN,
		DeclarationDropped:   receiptsv1.ReceiptDeclarationState_RECEIPT_DECLARATION_STATE_DROPPED,
	}
	offersToProto = map[OfferState]receiptsv1.ReceiptOfferState{
		NotOffered:      receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_NOT_OFFERED,
		WithoutReceipt:  receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_DONATION_WITHOUT_RECEIPT,
		Offered:         receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_OFFERED,
		Issued:          receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_ISSUED,
		CanceledForGood: receiptsv1.ReceiptOfferState_RECEIPT_OFFER_STATE_CANCELED,
	}
	statesToProto = map[State]receiptsv1.ReceiptState{
		StateIssued:   receiptsv1.ReceiptState_RECEIPT_STATE_ISSUED,
		StateCanceled: receiptsv1.ReceiptState_RECEIPT_STATE_CANCELED,
	}
	cancelReasons = map[CancelReason]receiptsv1.ReceiptCancelReason{
		CanceledByMember:    receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_MEMBER,
		CanceledRefunded:    receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_REFUNDED,
		CanceledDisputeLost: receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_DISPUTE_LOST,
		CanceledReversed:    receiptsv1.ReceiptCancelReason_RECEIPT_CANCEL_REASON_REVERSED,
	}
	mailsToProto = map[Mail]receiptsv1.ReceiptMail{
		MailSent:    receiptsv1.ReceiptMail_RECEIPT_MAIL_SENT,
		MailRefused: receiptsv1.ReceiptMail_RECEIPT_MAIL_REFUSED,
		MailFailed:  receiptsv1.ReceiptMail_RECEIPT_MAIL_FAILED,
	}
)

func inverse[K, V comparable](m map[K]V) map[V]K {
	inverted := make(map[V]K, len(m))
	for k, v := range m {
		inverted[v] = k
	}
	return inverted
}
