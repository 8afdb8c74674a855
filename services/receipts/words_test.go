package receipts

import "testing"

func TestAmountsInWords(t *testing.T) {
	for minor, want := range map[int64]string{
		0:                 "zéro euro",
		1:                 "un centime",
		50:                "cinquante centimes",
		100:               "un euro",
		101:               "un euro et un centime",
		200:               "deux euros",
		1_600:             "seize euros",
		1_700:             "dix-sept euros",
		2_000:             "vingt euros",
		2_100:             "vingt et un euros",
		2_200:             "vingt-deux euros",
		6_100:             "soixante et un euros",
		7_000:             "soixante-dix euros",
		7_100:             "soixante et onze euros",
		7_200:             "soixante-douze euros",
		7_999:             "soixante-dix-neuf euros et quatre-vingt-dix-neuf centimes",
		8_000:             "quatre-vingts euros",
		8_100:             "quatre-vingt-un euros",
		9_000:             "quatre-vingt-dix euros",
		9_100:             "quatre-vingt-onze euros",
		9_700:             "quatre-vingt-dix-sept euros",
		9_980:             "quatre-vingt-dix-neuf euros et quatre-vingts centimes",
		10_000:            "cent euros",
		10_100:            "cent un euros",
		18_000:            "cent quatre-vingts euros",
		20_000:            "deux cents euros",
		20_100:            "deux cent un euros",
		28_071:            "deux cent quatre-vingts euros et soixante et onze centimes",
		100_000:           "mille euros",
		100_100:           "mille un euros",
		110_000:           "mille cent euros",
		200_000:           "deux mille euros",
		2_100_000:         "vingt et un mille euros",
		8_000_000:         "quatre-vingt mille euros",
		20_000_000:        "deux cent mille euros",
		28_028_000:        "deux cent quatre-vingt mille deux cent quatre-vingts euros",
		99_999_999:        "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf euros et quatre-vingt-dix-neuf centimes",
		100_000_000:       "un million d’euros",
		100_000_100:       "un million un euros",
		8_000_000_000:     "quatre-vingts millions d’euros",
		20_020_000_000:    "deux cents millions deux cent mille euros",
		100_000_000_000:   "un milliard d’euros",
		200_000_080_000:   "deux milliards huit cents euros",
		100_000_000_00000: "cent milliards d’euros",
	} {
		if got := inWords(minor); got != want {
			t.Errorf("%d: %q, want %q", minor, got, want)
		}
	}
}
