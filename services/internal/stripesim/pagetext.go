package stripesim

import "strings"

// texts are the texts of the hosted page in one language.
type texts struct {
	Title, Simulated, NoMoney           string
	Order, Total, Heading               string
	Email, CardNumber, Expiry, CVC      string
	Pay, Donate, Book                   string // followed by the amount
	Cancel, Back                        string
	TestCards, TestCardsHint            string
	Paid, PaidHint                      string
	Expired, ExpiredHint                string
	Missing, MissingHint                string
	CardPaid, CardRefused, CardNoFunds  string
	CardTooOld, CardBritish, CardAbroad string
	BadExpiry, BadCVC, BadEmail         string
	CardChallenged                      string
	ChallengeHint                       string
	ChallengePass, ChallengeFail        string
	DebitHeading, DebitSubmit, Mandate  string
	AccountHolder, TestAccounts         string
	DebitBegun                          string
	DebitPaid, DebitPaidLate            string
	DebitRefused, DebitRefusedLate      string
	DebitDisputed                       string
	BadName, BadIBAN                    string
	declines                            map[string]string // by decline code, then by code
}

// catalogue has the page's texts by language. language returns only these two.
var catalogue = map[string]texts{
	"fr": {
		Title:         "Paiement simulé",
		Simulated:     "Page de paiement SIMULÉE.",
		NoMoney:       "Aucun argent ne circule. Ne tapez pas le numéro d’une vraie carte.",
		Order:         "Ce que vous payez",
		Total:         "Total",
		Heading:       "Payer par carte",
		Email:         "Adresse e-mail",
		CardNumber:    "Numéro de carte",
		Expiry:        "Expiration (MM/AA)",
		CVC:           "Code de sécurité (CVC)",
		Pay:           "Payer",
		Donate:        "Donner",
		Book:          "Réserver",
		Cancel:        "Annuler et revenir",
		Back:          "Revenir au site",
		TestCards:     "Cartes d’essai",
		TestCardsHint: "Choisissez-en une pour remplir le formulaire.",
		Paid:          "Ce paiement est déjà fait",
		PaidHint:      "Rien ne sera débité une seconde fois.",
		Expired:       "Cette page de paiement a expiré",
		ExpiredHint:   "Rien n’a été débité. Recommencez depuis le site.",
		Missing:       "Cette page de paiement n’existe pas",
		MissingHint:   "Vérifiez l’adresse, ou recommencez depuis le site.",
		CardPaid:      "acceptée",
		CardRefused:   "refusée",
		CardNoFunds:   "provision insuffisante",
		CardTooOld:    "expirée",
		CardBritish:   "acceptée, britannique (frais plus élevés)",
		CardAbroad:    "acceptée, hors d’Europe (frais plus élevés)",
		BadExpiry:     "La date d’expiration de la carte n’est pas valable. Corrigez-la et réessayez.",
		BadCVC:        "Le code de sécurité est incomplet : ce sont les 3 ou 4 chiffres au dos de la carte.",
		BadEmail:      "L’adresse e-mail n’est pas valable.",

		CardChallenged:   "acceptée après une étape de plus (3-D Secure)",
		ChallengeHint:    "Votre banque demande une confirmation (3-D Secure).",
		ChallengePass:    "Confirmer",
		ChallengeFail:    "Refuser",
		DebitHeading:     "Payer par prélèvement SEPA",
		DebitSubmit:      "Autoriser le prélèvement",
		Mandate:          "Vous autorisez le bénéficiaire à débiter ce compte. La banque répond en 5 jours ouvrés environ.",
		AccountHolder:    "Titulaire du compte",
		TestAccounts:     "Comptes d’essai",
		DebitBegun:       "Le prélèvement est autorisé",
		DebitPaid:        "payé après 5 jours ouvrés",
		DebitPaidLate:    "payé après 14 jours ouvrés",
		DebitRefused:     "refusé après 5 jours ouvrés",
		DebitRefusedLate: "refusé après 14 jours ouvrés",
		DebitDisputed:    "payé, puis contesté",
		BadName:          "Indiquez le titulaire du compte.",
		BadIBAN:          "Ce n’est pas l’IBAN d’un compte d’essai. N’utilisez ici que ceux de la liste.",
		declines: map[string]string{
			"":                    "Votre carte a été refusée. Essayez avec une autre carte.",
			"insufficient_funds":  "Votre carte n’a pas une provision suffisante. Essayez avec une autre carte.",
			"expired_card":        "Votre carte a expiré. Essayez avec une autre carte.",
			"incorrect_cvc":       "Le code de sécurité de votre carte est incorrect.",
			"incorrect_number":    "Le numéro de carte est incorrect.",
			"processing_error":    "Une erreur est survenue pendant le traitement de la carte. Réessayez dans un instant.",
			"test_mode_live_card": "Ce n’est pas une carte d’essai. N’utilisez ici que les cartes de la liste.",
		},
	},
	"en": {
		Title:         "Simulated payment",
		Simulated:     "SIMULATED payment page.",
		NoMoney:       "No money moves. Do not type the number of a real card.",
		Order:         "What you pay for",
		Total:         "Total",
		Heading:       "Pay by card",
		Email:         "E-mail address",
		CardNumber:    "Card number",
		Expiry:        "Expiry (MM/YY)",
		CVC:           "Security code (CVC)",
		Pay:           "Pay",
		Donate:        "Donate",
		Book:          "Book",
		Cancel:        "Cancel and go back",
		Back:          "Back to the site",
		TestCards:     "Test cards",
		TestCardsHint: "Choose one to fill in the form.",
		Paid:          "This payment is already made",
		PaidHint:      "Nothing will be charged a second time.",
		Expired:       "This payment page has expired",
		ExpiredHint:   "Nothing was charged. Start again from the site.",
		Missing:       "This payment page does not exist",
		MissingHint:   "Check the address, or start again from the site.",
		CardPaid:      "accepted",
		CardRefused:   "declined",
		CardNoFunds:   "insufficient funds",
		CardTooOld:    "expired",
		CardBritish:   "accepted, British (higher fee)",
		CardAbroad:    "accepted, outside Europe (higher fee)",
		BadExpiry:     "The card’s expiry date is not valid. Correct it and try again.",
		BadCVC:        "The security code is incomplete: it is the 3 or 4 digits on the back of the card.",
		BadEmail:      "The e-mail address is not valid.",

		CardChallenged:   "accepted after one more step (3-D Secure)",
		ChallengeHint:    "Your bank asks you to confirm (3-D Secure).",
		ChallengePass:    "Confirm",
		ChallengeFail:    "Refuse",
		DebitHeading:     "Pay by SEPA debit",
		DebitSubmit:      "Authorise the debit",
		Mandate:          "You authorise the payee to debit this account. The bank answers in about 5 working days.",
		AccountHolder:    "Account holder",
		TestAccounts:     "Test accounts",
		DebitBegun:       "The debit is authorised",
		DebitPaid:        "paid after 5 working days",
		DebitPaidLate:    "paid after 14 working days",
		DebitRefused:     "refused after 5 working days",
		DebitRefusedLate: "refused after 14 working days",
		DebitDisputed:    "paid, then disputed",
		BadName:          "Say who holds the account.",
		BadIBAN:          "This is not the IBAN of a test account. Use only those of the list here.",
		declines: map[string]string{
			"":                    "Your card was declined. Try another card.",
			"insufficient_funds":  "Your card has insufficient funds. Try another card.",
			"expired_card":        "Your card has expired. Try another card.",
			"incorrect_cvc":       "Your card’s security code is incorrect.",
			"incorrect_number":    "The card number is incorrect.",
			"processing_error":    "An error occurred while the card was processed. Try again in a moment.",
			"test_mode_live_card": "This is not a test card. Use only the cards of the list here.",
		},
	},
}

// language chooses the page's language: the session's locale, or the browser's first choice when that is auto.
func language(locale, acceptLanguage string) string {
	if locale == "" || locale == "auto" {
		locale, _, _ = strings.Cut(acceptLanguage, ",")
	}
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(locale)), "fr") {
		return "fr"
	}
	return "en"
}

// declined is the text about a declined card: for its decline code, for its code, or for any decline.
func (t texts) declined(e *DeclinedError) string {
	for _, code := range []string{e.DeclineCode, e.Code} {
		if text, ok := t.declines[code]; ok && code != "" {
			return text
		}
	}
	return t.declines[""]
}
