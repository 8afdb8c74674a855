package campaigns

import (
	"slices"
	"testing"
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
			content.nameStages(c.before)
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
