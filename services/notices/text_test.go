package notices

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/money"
)

// kinds reads the constants from the source, so that one that was added cannot be forgotten here.
func kinds(t *testing.T) (all []Kind) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "kind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typed, ok := spec.Type.(*ast.Ident); ok && typed.Name == "Kind" {
			word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, Kind(word))
		}
		return true
	})
	if len(all) < 13 {
		t.Fatalf("found %v", all)
	}
	return all
}

func TestCatalogues(t *testing.T) {
	texts := catalogues()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(texts[money.French])), slices.Sorted(maps.Keys(texts[money.English]))); diff != "" {
		t.Errorf("fr and en have other keys:\n%s", diff)
	}
	values := regexp.MustCompile(`\{\w+\}`)
	for key, french := range texts[money.French] {
		mine, theirs := values.FindAllString(french, -1), values.FindAllString(texts[money.English][key], -1)
		slices.Sort(mine)
		slices.Sort(theirs)
		if !slices.Equal(mine, theirs) {
			t.Errorf("%s: fr has %v, en %v", key, mine, theirs)
		}
	}
	t.Run("money.French puts a no-break space before high punctuation", func(t *testing.T) {
		for key, text := range texts[money.French] {
			if regexp.MustCompile(`[^\x{00a0}][!?;:»]|«[^\x{00a0}]`).MatchString(text) {
				t.Errorf("%s: %q", key, text)
			}
		}
	})
	known := map[string]bool{}
	for _, kind := range kinds(t) {
		if !kindPattern.MatchString(string(kind)) {
			t.Errorf("%q is no word", kind)
		}
		for _, part := range []string{".subject", ".text"} {
			known[string(kind)+part] = true
			if texts[money.French][string(kind)+part] == "" || texts[money.English][string(kind)+part] == "" {
				t.Errorf("%s%s is missing", kind, part)
			}
		}
		// The instance has texts of its own where a kind's texts speak of the collective.
		known[string(kind)+".siteSubject"], known[string(kind)+".siteText"] = true, true
	}
	for key := range texts[money.French] {
		if strings.Contains(key, ".") && !known[key] {
			t.Errorf("%s is of no kind", key)
		}
	}
}

// Of people and keys of the instance no notice says that they have to do with a collective.
func TestTheInstanceIsNoCollective(t *testing.T) {
	word := map[money.Language]string{money.French: "collectif", money.English: "collective"}
	for _, kind := range []Kind{KeyCreated, KeyRevoked, MemberInvited, MemberJoined, MemberRoleChanged, MemberLeft, MemberEmailChanged} {
		for language, word := range word {
			title, text := Notice{Kind: kind}.said(language)
			if strings.Contains(title+text, word) {
				t.Errorf("%s: %q, %q", kind, title, text)
			}
		}
	}
	if title, _ := (Notice{Kind: MemberJoined, Collective: "vallon"}).said(money.English); title != "Somebody joined the collective" {
		t.Errorf("of a collective: %q", title)
	}
	subject, text := Notice{Kind: MemberJoined, Change: &Change{After: "operator Olga"}}.write(reader{language: money.English, location: time.UTC, operator: true})
	if !strings.Contains(subject, "somebody joined the administration of the site") || !strings.Contains(text, "Olga") {
		t.Errorf("%q: %s", subject, text)
	}
}

func TestWhatAMailSays(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	n := Notice{
		Collective: "vallon", Kind: DisputeOpened, Subject: "collectives/vallon/campaigns/avocate/donations/7",
		Amount: money.Amount{Minor: 20_50, Currency: "EUR"}, Deadline: time.Date(2026, 7, 1, 21, 59, 0, 0, time.UTC),
		Transactions: []string{"txn_1", "txn_2"},
		ID:           uuid.MustParse("0197c0de-0000-7000-8000-000000000001"),
	}
	t.Run("in money.French, by the collective's clock", func(t *testing.T) {
		subject, text := n.write(reader{name: "Vallon", language: money.French, location: paris})
		if subject != "Vallon\u00a0: une banque conteste un don" {
			t.Errorf("subject %q", subject)
		}
		for _, want := range []string{
			"Montant\u00a0: 20,50\u00a0€\n", "Mouvements chez Stripe\u00a0: txn_1, txn_2\n", "À faire avant le 2026-07-01 23:59 (Europe/Paris)\n", "Concerne\u00a0: " + n.Subject + "\n",
			"Avis\u00a0: collectives/vallon/notices/0197c0de-0000-7000-8000-000000000001\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
	})
	t.Run("to the operator, with what there is", func(t *testing.T) {
		n := Notice{Kind: PayoutFailed, ID: n.ID}
		subject, text := n.write(reader{language: money.English, location: time.UTC})
		if subject != "Cagnotte: a Stripe payout failed" || strings.Contains(text, "Amount") || strings.Contains(text, "before") ||
			strings.Contains(text, "About") || strings.Contains(text, "Transactions") || !strings.Contains(text, "Notice: instance/notices/0197c0de") || !strings.Contains(text, "CAGNOTTE_ALERT_EMAILS") {
			t.Errorf("%q\n%s", subject, text)
		}
	})
	t.Run("every kind makes a subject that a mail can have", func(t *testing.T) {
		for _, kind := range kinds(t) {
			for _, language := range []money.Language{money.French, money.English} {
				n := Notice{Collective: "vallon", Kind: kind}
				subject, _ := n.write(reader{name: strings.Repeat("é", 120), language: language, location: paris})
				if len([]rune(subject)) > 200 || strings.Contains(subject, "{") {
					t.Errorf("%s: %q", kind, subject)
				}
			}
		}
	})
}
