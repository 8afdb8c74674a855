package donations

import (
	"strings"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

// recurringWords are the texts for donors of monthly donations in one language.
type recurringWords struct {
	// onceNote and note are shown on Stripe's page, above the button, for a single and for a monthly donation.
	onceNote, note string
	// linkSubject and linkText are those of the mail with a link, startSubject and startText those of the mail at the start.
	// Names stand at a text's end alone, since locked screens show subjects and first lines.
	linkSubject, linkText   string
	startSubject, startText string
	// names is what a mail ends with, unless the collective asks for discretion. {amount}, {campaign} and {collective} are filled in.
	names string
}

var recurringCatalogue = map[string]recurringWords{
	"fr": {
		onceNote: "Vous donnez une seule fois : rien d’autre ne sera débité.",
		note: "Vous donnez ce montant chaque mois, jusqu’à ce que vous l’arrêtiez : un lien reçu par e‑mail suffit, sans compte. " +
			"Si la collecte se termine, votre don mensuel s’arrête de lui-même à la fin du mois déjà payé.",
		linkSubject: "Gérer votre don mensuel",
		linkText: `Bonjour,

Voici le lien que vous avez demandé. Il permet de consulter, de modifier ou d’arrêter votre don mensuel :

{link}

Vous avez 24 heures pour l’ouvrir ; la page reste ensuite accessible pendant 30 minutes. Si vous n’avez rien demandé, vous pouvez ignorer ce message : rien ne changera.

`,
		startSubject: "Votre don mensuel est en place",
		startText: `Bonjour,

Merci ! Votre don mensuel est en place. Il se répète chaque mois, jusqu’à ce que vous l’arrêtiez ou que la collecte se termine.

Pour le consulter, le modifier ou l’arrêter à tout moment, gardez cette adresse :

{link}

Il n’y a pas de compte à créer : sur cette page, demandez un lien, et il arrive à votre adresse e‑mail.

`,
		names: "Ce don : {amount} par mois pour la collecte « {campaign} » ({collective}).\n",
	},
	"en": {
		onceNote: "You give once: nothing more will be charged.",
		note: "You give this amount each month until you stop it: a link by email is enough, without an account. " +
			"If the campaign ends, your monthly donation stops by itself at the end of the month already paid.",
		linkSubject: "Manage your monthly donation",
		linkText: `Hello,

Here is the link you asked for. Use it to view, change or stop your monthly donation:

{link}

You have 24 hours to open it; the page then stays available for 30 minutes. If you didn’t ask for it, you can ignore this message: nothing will change.

`,
		startSubject: "Your monthly donation is set up",
		startText: `Hello,

Thank you! Your monthly donation is set up. It repeats each month, until you stop it or the campaign ends.

To view, change or stop it at any time, keep this address:

{link}

There is no account to create: ask for a link on that page, and it comes to your email address.

`,
		names: "This donation: {amount} a month for the campaign “{campaign}” ({collective}).\n",
	},
}

// pageNote is the text of a donation's payment page, above its button.
func pageNote(d Donation) string {
	if d.Recurring == uuid.Nil {
		return recurringCatalogue[d.Locale].onceNote
	}
	return recurringCatalogue[d.Locale].note
}

// linkMail is what the mail with a link says.
func linkMail(r Recurring, names mailNames, link string) (subject, text string) {
	words := recurringCatalogue[r.Locale]
	return words.linkSubject, words.fill(words.linkText, r, names, link)
}

// startMail is what the mail at the start says. page is the address where a link can be asked for.
func startMail(r Recurring, names mailNames, page string) (subject, text string) {
	words := recurringCatalogue[r.Locale]
	return words.startSubject, words.fill(words.startText, r, names, page)
}

// fill puts the link into the text, and the names at its end. One pass fills in all, so that a title cannot bring a
// placeholder of its own.
func (w recurringWords) fill(text string, r Recurring, names mailNames, link string) string {
	if names != (mailNames{}) {
		text += w.names
	}
	return strings.NewReplacer(
		"{link}", link, "{amount}", r.Amount.Format(money.Language(r.Locale)),
		"{campaign}", names.campaign, "{collective}", names.collective,
	).Replace(strings.TrimRight(text, "\n") + "\n")
}
