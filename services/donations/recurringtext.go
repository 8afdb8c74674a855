package donations

import (
	"fmt"

	"github.com/google/uuid"
)

// recurringWords are the texts for donors of monthly donations in one language.
type recurringWords struct {
	// note is shown on Stripe's page, above the button.
	note string
	// subject and text are those of the mail with a link; text has %s for it. Neither has the campaign's title, since
	// locked screens show subjects and first lines.
	subject, text string
}

var recurringCatalogue = map[string]recurringWords{
	"fr": {
		note: "Vous donnez ce montant chaque mois, jusqu’à ce que vous l’arrêtiez : un lien reçu par e-mail suffit, sans compte. " +
			"Si la collecte se termine, votre don mensuel s’arrête de lui-même à la fin du mois déjà payé.",
		subject: "Le lien que vous avez demandé",
		text: `Bonjour,

Voici le lien que vous avez demandé. Il permet de voir, de changer ou d’arrêter votre don mensuel :

%s

Il ne fonctionne qu’une seule fois, et pendant 24 heures. Si vous ne l’avez pas demandé, vous pouvez ignorer ce message : rien ne changera.
`,
	},
	"en": {
		note: "You give this amount each month until you stop it: a link by e-mail is enough, without an account. " +
			"If the campaign ends, your monthly donation stops by itself at the end of the month already paid.",
		subject: "The link that you asked for",
		text: `Hello,

Here is the link that you asked for. It lets you see, change or stop your monthly donation:

%s

It works once, and for 24 hours. If you did not ask for it, you can ignore this message: nothing will change.
`,
	},
}

// recurringNote is empty for a single donation.
func recurringNote(d Donation) string {
	if d.Recurring == uuid.Nil {
		return ""
	}
	return recurringCatalogue[d.Locale].note
}

// linkMail is what the mail with a link says.
func linkMail(locale, link string) (subject, text string) {
	words := recurringCatalogue[locale]
	return words.subject, fmt.Sprintf(words.text, link)
}
