package campaigns

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

func TestStagesKeepTheirIDs(t *testing.T) {
	stages := func(pairs ...string) (list []Stage) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, Stage{ID: pairs[i], Titles: map[string]string{French: pairs[i+1]}})
		}
		return list
	}
	before := stages("1", "Mise en demeure", "2", "Appel")
	for rule, c := range map[string]struct {
		before, sent []Stage
		want         []string
	}{
		"new ones are numbered":                            {nil, stages("", "a", "", "b"), []string{"1", "2"}},
		"the same title is the same stage":                 {before, stages("", "Tribunal", "", "Appel", "", "Mise en demeure"), []string{"3", "2", "1"}},
		"an id that is sent says more than the title":      {before, stages("2", "Mise en demeure", "", "Appel"), []string{"2", "3"}},
		"a new one never takes the place of one that went": {before, stages("", "Cassation"), []string{"3"}},
		"ids that others have are left to them":            {nil, stages("", "a", "1", "b", "appel", "c"), []string{"2", "1", "appel"}},
	} {
		t.Run(rule, func(t *testing.T) {
			content := Content{Stages: c.sent}
			content.nameStages(c.before, nil)
			var got []string
			for _, stage := range content.Stages {
				got = append(got, stage.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// What was spent on a stage stays with it when the stage is gone: no later stage gets its id.
func TestANewStageTakesNoIDThatMoneyWasSpentOn(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx := t.Context()
	mustCreate(t, s, avocat, lawyer())
	must(t, publishes(s), avocat)
	owner := pgtest.Owner(t, pool)
	change := func(change func(stages []Stage) []Stage) []Stage {
		t.Helper()
		c, err := s.Update(ctx, avocat, "", func(c *Content) error {
			c.Stages = change(slices.Clone(c.Stages))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.Stages
	}
	add := func(title string) string {
		stages := change(func(stages []Stage) []Stage {
			return append(stages, Stage{Titles: map[string]string{French: title}, Amount: eur(1_00)})
		})
		return stages[len(stages)-1].ID
	}
	drop := func(id string) {
		change(func(stages []Stage) []Stage {
			return slices.DeleteFunc(stages, func(s Stage) bool { return s.ID == id })
		})
	}
	if _, err := owner.Exec(ctx, `
		INSERT INTO treasury.expenses (id, collective, campaign, stage, book, kind, account, payee, document, document_key, documented_on,
			amount_minor, currency, state, owed_first, source, created_by, created_at, updated_at)
		VALUES ($1, 'vallon', 'avocat', '2', '', 'lawyer', '6226', 'Cabinet', 'F1', 'k', now(), 100, 'EUR', 'owed', true, '', 'x', now(), now())`,
		uuid.New()); err != nil {
		t.Fatal(err)
	}
	drop("2")
	if id := add("Appel"); id != "3" {
		t.Errorf("a stage that came later has the id %q", id)
	}
	if _, err := owner.Exec(ctx, `
		INSERT INTO treasury.offline_donations (id, collective, campaign, book, amount_minor, currency, method, received_on, document,
			outside_books, stage, created_by, created_at, updated_at)
		VALUES ($1, 'vallon', 'avocat', '', 100, 'EUR', 'payee_cheque', now(), '', false, '3', 'x', now(), now())`, uuid.New()); err != nil {
		t.Fatal(err)
	}
	drop("3")
	if id := add("Cassation"); id != "4" {
		t.Errorf("a stage that came later has the id %q", id)
	}
	// An id that nothing refers to is free again.
	drop("4")
	if id := add("Europe"); id != "4" {
		t.Errorf("a stage that came later has the id %q", id)
	}
}
