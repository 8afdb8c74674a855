package receipts

import "strings"

var (
	units = [...]string{
		"zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize", "quatorze",
		"quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
	}
	tens = [...]string{2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante", 8: "quatre-vingt"}
)

// inWords writes an amount of euros in French words, as a receipt has it: "quatre-vingts euros et dix centimes". minor is not
// negative.
func inWords(minor int64) string {
	euros, cents := minor/100, minor%100
	var parts []string
	if euros > 0 || cents == 0 {
		unit := " euros"
		switch {
		case euros < 2:
			unit = " euro"
		case euros%1_000_000 == 0: // "un million d’euros"
			unit = " d’euros"
		}
		parts = append(parts, number(euros)+unit)
	}
	if cents > 0 {
		unit := " centimes"
		if cents == 1 {
			unit = " centime"
		}
		parts = append(parts, number(cents)+unit)
	}
	return strings.Join(parts, " et ")
}

// number writes a number in the traditional spelling: hyphens below a hundred, and "et" before one and eleven.
func number(n int64) string {
	if n == 0 {
		return units[0]
	}
	var words []string
	for _, scale := range []struct {
		value int64
		name  string
	}{{1_000_000_000_000, "billion"}, {1_000_000_000, "milliard"}, {1_000_000, "million"}} {
		if count := n / scale.value; count > 0 {
			name := scale.name
			if count > 1 {
				name += "s"
			}
			words = append(words, number(count), name)
			n %= scale.value
		}
	}
	if thousands := n / 1000; thousands > 0 {
		// "mille" has no "un" before it and no s. Cent and vingt lose theirs before it, as it is an adjective of number.
		if thousands > 1 {
			words = append(words, belowThousand(thousands, false))
		}
		words = append(words, "mille")
		n %= 1000
	}
	if n > 0 {
		words = append(words, belowThousand(n, true))
	}
	return strings.Join(words, " ")
}

// belowThousand writes 1 to 999. plural: cent and vingt take an s where they end the number.
func belowThousand(n int64, plural bool) string {
	var words []string
	if hundreds := n / 100; hundreds > 0 {
		word := "cent"
		if hundreds > 1 {
			words = append(words, units[hundreds])
			if n%100 == 0 && plural {
				word = "cents"
			}
		}
		words = append(words, word)
	}
	if rest := n % 100; rest > 0 {
		words = append(words, belowHundred(rest, plural))
	}
	return strings.Join(words, " ")
}

func belowHundred(n int64, plural bool) string {
	if n < 20 {
		return units[n]
	}
	ten, unit := n/10, n%10
	// Seventies and nineties count on from sixty and eighty.
	if ten == 7 || ten == 9 {
		ten, unit = ten-1, unit+10
	}
	switch {
	case ten == 8 && unit == 0:
		if plural {
			return "quatre-vingts"
		}
		return "quatre-vingt"
	case unit == 0:
		return tens[ten]
	case ten != 8 && (unit == 1 || unit == 11):
		return tens[ten] + " et " + units[unit]
	}
	return tens[ten] + "-" + units[unit]
}
