package text

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// calendar is how a language writes days. In date, month and moment, {day}, {month}, {year}, {date} and {time} are filled in.
type calendar struct {
	months [12]string
	// first is the first of a month; empty where it is a number as the others are.
	first string
	// date is a day, month a month with its year, and moment a day with its time.
	date, month, moment string
	// short is a day in figures, as package time lays it out.
	short string
}

// calendars are after CLDR's long dates. It has no months of Occitan: they are those that the Congrès permanent de la lenga
// occitana writes.
var calendars = map[string]calendar{
	"fr": {
		months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
		first:  "1er", date: "{day} {month} {year}", month: "{month} {year}", moment: "{date} à {time}", short: "02/01/2006",
	},
	"en": {
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		date:   "{day} {month} {year}", month: "{month} {year}", moment: "{date}, {time}", short: "02/01/2006",
	},
	"oc": {
		months: [12]string{"genièr", "febrièr", "març", "abril", "mai", "junh", "julhet", "agost", "setembre", "octobre", "novembre", "decembre"},
		first:  "1èr", date: "{day} de {month} de {year}", month: "{month} de {year}", moment: "{date} a {time}", short: "02/01/2006",
	},
	"br": {
		months: [12]string{"Genver", "C’hwevrer", "Meurzh", "Ebrel", "Mae", "Mezheven", "Gouere", "Eost", "Gwengolo", "Here", "Du", "Kerzu"},
		first:  "1añ", date: "{day} {month} {year}", month: "{month} {year}", moment: "{date} da {time}", short: "02/01/2006",
	},
	"es": {
		months: [12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
		date:   "{day} de {month} de {year}", month: "{month} de {year}", moment: "{date}, {time}", short: "02/01/2006",
	},
	"de": {
		months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
		date:   "{day}. {month} {year}", month: "{month} {year}", moment: "{date}, {time} Uhr", short: "02.01.2006",
	},
}

// write fills in a pattern of a calendar. "de" loses its vowel before that of a month in Occitan: "d’abril".
func (w *Words) write(pattern string, values ...string) string {
	written := fill(pattern, values)
	if w.Lang == "oc" {
		written = strings.NewReplacer("de abril", "d’abril", "de agost", "d’agost", "de octobre", "d’octobre").Replace(written)
	}
	return written
}

// Date writes a day: "7 May 2026", "1er mai 2026", "7. Mai 2026".
func (w *Words) Date(t time.Time) string {
	c := calendars[w.Lang]
	day := strconv.Itoa(t.Day())
	if day == "1" && c.first != "" {
		day = c.first
	}
	return w.write(c.date, "day", day, "month", c.months[t.Month()-1], "year", strconv.Itoa(t.Year()))
}

// DateTime writes a day and the time of day in a zone: "7 mai 2026 à 14:05", "7 May 2026, 14:05".
func (w *Words) DateTime(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	return w.write(calendars[w.Lang].moment, "date", w.Date(t), "time", t.Format("15:04"))
}

// Day writes a day of the form YYYY-MM-DD as Date does; a text that is no day as it is.
func (w *Words) Day(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return w.Date(t)
}

// ShortDay writes a day in figures, for tables: "07/05/2026", and "07.05.2026" in German.
func (w *Words) ShortDay(t time.Time) string { return t.Format(calendars[w.Lang].short) }

// Month writes a month: "mai 2026".
func (w *Words) Month(t time.Time) string {
	c := calendars[w.Lang]
	return w.write(c.month, "month", c.months[t.Month()-1], "year", strconv.Itoa(t.Year()))
}

// FirstOfMonth is the first of a month as a language writes it: "1er"; "1" where it is a number as the others are.
func FirstOfMonth(lang string) string { return cmp.Or(calendars[lang].first, "1") }

// Months returns the months of a language, in the form that a day with its year has them: "mai", "de mai de".
func Months(lang string) []string {
	w := &Words{Lang: lang}
	around := strings.NewReplacer("{day} ", "", " {year}", "").Replace(calendars[lang].date)
	var all []string
	for _, month := range calendars[lang].months {
		all = append(all, w.write(around, "month", month))
	}
	return all
}
