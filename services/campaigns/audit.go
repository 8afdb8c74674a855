package campaigns

import (
	"strconv"
	"strings"
	"time"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/money"
)

// auditFields are the campaign as the audit log tells it: what members write, and the state.
func (c Campaign) auditFields() audit.Fields {
	fields := audit.Fields{
		"state":           string(c.State),
		"goal":            c.Goal.String(),
		"minimum":         c.Minimum.String(),
		"maximum":         c.Maximum.String(),
		"presets":         amounts(c.Presets),
		"allowed_origins": strings.Join(c.AllowedOrigins, ", "),
		"image":           c.Image,
		"listed":          strconv.FormatBool(c.Listed),
		"expenses_shown":  strconv.FormatBool(c.ExpensesShown),
		"donations_shown": strconv.FormatBool(c.DonationsShown),
	}
	if c.Event != (Event{}) {
		fields["event"] = strings.Join(strings.Fields(c.Event.Date+" "+c.Event.Time+" "+c.Event.Place), " ")
	}
	if !c.Deadline.IsZero() {
		fields["deadline"] = c.Deadline.UTC().Format(time.RFC3339)
	}
	for language, text := range c.Texts {
		fields["texts."+language+".title"] = text.Title
		fields["texts."+language+".story"] = text.Story
		fields["texts."+language+".thank_you"] = text.ThankYou
		fields["texts."+language+".image_alt"] = text.ImageAlt
	}
	for _, stage := range c.Stages {
		fields["stages."+stage.ID] = stage.Titles[French] + ", " + stage.Amount.String()
	}
	return fields
}

func amounts(all []money.Amount) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
