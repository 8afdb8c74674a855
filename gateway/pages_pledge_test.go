package gateway_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/cagnotte/cagnotte/gateway"
	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	treasuryv1 "github.com/cagnotte/cagnotte/proto/cagnotte/treasury/v1"
)

// pledges takes transfers and cheques, unless none is set.
type pledges struct {
	treasuryv1.UnimplementedTreasuryServiceServer
	none  bool
	made  *treasuryv1.CreatePledgeRequest
	err   error
	state treasuryv1.PledgeState
}

func (p *pledges) ListPledgeMethods(context.Context, *treasuryv1.ListPledgeMethodsRequest) (*treasuryv1.ListPledgeMethodsResponse, error) {
	if p.none {
		return &treasuryv1.ListPledgeMethodsResponse{}, nil
	}
	return &treasuryv1.ListPledgeMethodsResponse{Methods: []treasuryv1.OfflineMethod{
		treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE, treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER,
	}}, nil
}

func (p *pledges) CreatePledge(_ context.Context, r *treasuryv1.CreatePledgeRequest) (*treasuryv1.Pledge, error) {
	p.made = r
	return p.pledge(r.GetPledge().GetMethod()), p.err
}

func (p *pledges) GetPledge(context.Context, *treasuryv1.GetPledgeRequest) (*treasuryv1.Pledge, error) {
	method := treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER
	if p.made != nil {
		method = p.made.GetPledge().GetMethod()
	}
	return p.pledge(method), nil
}

func (p *pledges) pledge(method treasuryv1.OfflineMethod) *treasuryv1.Pledge {
	state := p.state
	if state == treasuryv1.PledgeState_PLEDGE_STATE_UNSPECIFIED {
		state = treasuryv1.PledgeState_PLEDGE_STATE_OPEN
	}
	pledge := &treasuryv1.Pledge{
		Name: campaignName + "/pledges/" + donationID, Amount: euros(3500), Method: method, Reference: "CAG-7K3M-9QXT", State: state, Locale: "fr",
	}
	switch method {
	case treasuryv1.OfflineMethod_OFFLINE_METHOD_TRANSFER:
		pledge.Transfer = &treasuryv1.TransferSlip{
			Holder: "Vallon", Iban: "FR7630006000011234567890189", RemittanceText: "CAG-7K3M-9QXT", EpcQrSvg: `<svg xmlns="http://www.w3.org/2000/svg"/>`,
		}
	case treasuryv1.OfflineMethod_OFFLINE_METHOD_CHEQUE:
		pledge.Cheque = &treasuryv1.ChequeSlip{Payee: "Maître <Roche>", PostalAddress: []string{"1 place de la Mairie", "12330 Salles"}}
	}
	return pledge
}

func TestPledges(t *testing.T) {
	p := &pledges{}
	front := serve(t, &backend{treasury: p}, gateway.Options{Uncached: true})
	slip := front.URL + campaignPath + "/pledges/" + donationID
	post := func(form url.Values, header ...string) answer {
		return send(t, "POST", front.URL+campaignPath+"/pledge?lang=fr", form.Encode(),
			append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}

	t.Run("the campaign's page leads to the form, where there is one", func(t *testing.T) {
		holds(t, send(t, "GET", front.URL+campaignPath, "").body, `href="`+campaignPath+`/pledge"`)
		p.none = true
		lacks(t, send(t, "GET", front.URL+campaignPath, "").body, campaignPath+"/pledge")
		holds(t, send(t, "GET", front.URL+campaignPath+"/pledge", "").body, "par carte ou par prélèvement uniquement")
		p.none = false
	})
	t.Run("the form offers what the collective takes", func(t *testing.T) {
		got := send(t, "GET", front.URL+campaignPath+"/pledge", "")
		holds(t, got.body, "Par virement", "Par chèque", `value="transfer" required checked`)
		lacks(t, got.body, "En espèces", "<script", "style=")
		if policy := got.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self';") {
			t.Errorf("the policy is %q", policy)
		}
	})
	t.Run("says what is wrong and keeps what was typed", func(t *testing.T) {
		for _, c := range []struct {
			form url.Values
			want string
		}{
			{url.Values{"method": {"transfer"}}, "Choisissez un montant"},
			{url.Values{"method": {"transfer"}, "amount": {"vingt"}}, "en chiffres"},
			{url.Values{"method": {"gold"}, "amount": {"35"}}, "Choisissez de quelle façon"},
		} {
			got := post(c.form)
			if got.StatusCode != 400 || p.made != nil {
				t.Errorf("%v: got %d, made %v", c.form, got.StatusCode, p.made)
			}
			holds(t, got.body, c.want, `role="alert" tabindex="-1" autofocus`, `value="`+c.form.Get("amount")+`"`)
		}
		if got := post(url.Values{"method": {"transfer"}, "amount": {"35"}}, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || p.made != nil {
			t.Errorf("another site's form: %d", got.StatusCode)
		}
		p.err = fail(codes.FailedPrecondition, "PLEDGE_METHOD_UNAVAILABLE")
		holds(t, post(url.Values{"method": {"cheque"}, "amount": {"35"}}).body, "n’est plus proposée")
		p.err = fail(codes.ResourceExhausted, "TOO_MANY_DONATIONS")
		if got := post(url.Values{"method": {"cheque"}, "amount": {"35"}}); got.StatusCode != 429 {
			t.Errorf("got %d", got.StatusCode)
		}
		p.err = nil
	})
	t.Run("a transfer's slip has all that it takes, and a code", func(t *testing.T) {
		got := post(url.Values{"method": {"transfer"}, "amount": {"35"}})
		if got.StatusCode != 303 || got.Header.Get("Location") != campaignPath+"/pledges/"+donationID+"?lang=fr" {
			t.Fatalf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
		}
		page := send(t, "GET", slip, "")
		holds(t, page.body, "35\u00a0€", "FR76 3000 6000 0112 3456 7890 189", "CAG-7K3M-9QXT", "/qr.svg", "noindex")
		if page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("Cache-Control is %q", page.Header.Get("Cache-Control"))
		}
		picture := send(t, "GET", slip+"/qr.svg", "")
		if !strings.HasPrefix(picture.Header.Get("Content-Type"), "image/svg+xml") || !strings.HasPrefix(picture.body, "<svg") ||
			!strings.Contains(picture.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("the picture is %v %q", picture.Header, picture.body)
		}
	})
	t.Run("a cheque's slip says whom to write it to, as text", func(t *testing.T) {
		post(url.Values{"method": {"cheque"}, "amount": {"35"}})
		page := send(t, "GET", slip, "").body
		holds(t, page, "Maître &lt;Roche&gt;", "1 place de la Mairie<br>12330 Salles", "au dos")
		lacks(t, page, "qr.svg")
		if got := send(t, "GET", slip+"/qr.svg", "", "Accept", "text/html"); got.StatusCode != 404 {
			t.Errorf("a cheque has a code: %d", got.StatusCode)
		}
	})
	t.Run("tells when it has arrived, and when it is over", func(t *testing.T) {
		p.state = treasuryv1.PledgeState_PLEDGE_STATE_FULFILLED
		page := send(t, "GET", slip, "").body
		holds(t, page, "est bien arrivé")
		lacks(t, page, "CAG-7K3M")
		p.state = treasuryv1.PledgeState_PLEDGE_STATE_EXPIRED
		holds(t, send(t, "GET", slip, "").body, "a expiré")
	})
}

func TestCampaignPageSaysWhatWasSpent(t *testing.T) {
	front := serve(t, &backend{getCampaign: func(*campaignsv1.GetCampaignRequest) (*campaignsv1.Campaign, error) {
		c := vallon()
		c.Spent, c.Stages[0].Spent = euros(15000), euros(15000)
		c.FeeEstimate = &campaignsv1.FeeEstimate{BasisPoints: 150, Fixed: euros(25)}
		return c, nil
	}}, gateway.Options{})
	holds(t, send(t, "GET", front.URL+campaignPath, "").body, "150\u00a0€ dépensés à ce jour", "financé · 150\u00a0€ dépensés",
		"1,5\u00a0% &#43; 0,25\u00a0€", "Pour un don de 20\u00a0€, vous payez 20,56\u00a0€ au total")
	holds(t, send(t, "GET", front.URL+campaignPath+"?lang=en", "").body, "€150 spent so far", "1.5% &#43; €0.25")
}
