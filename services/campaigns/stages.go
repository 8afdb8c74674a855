package campaigns

import (
	"regexp"
	"strconv"
)

var stageIDPattern = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// nameStages sets the id of every stage that has none: that of the stored stage with the same French title, or the smallest
// number that no stage has or had. So what was spent on a stage stays with it.
func (c *Content) nameStages(before []Stage) {
	// Ids that the request gives count as used before any other is chosen, so none is given twice.
	used := map[string]bool{}
	for _, stage := range c.Stages {
		used[stage.ID] = true
	}
	for i := range c.Stages {
		for _, old := range before {
			if c.Stages[i].ID == "" && !used[old.ID] && old.Titles[French] == c.Stages[i].Titles[French] {
				c.Stages[i].ID, used[old.ID] = old.ID, true
			}
		}
	}
	for _, old := range before {
		used[old.ID] = true
	}
	// The id of a stage that this change removes is not given to another one: expenses may refer to it.
	next := 1
	for i := range c.Stages {
		for ; c.Stages[i].ID == ""; next++ {
			if id := strconv.Itoa(next); !used[id] {
				c.Stages[i].ID, used[id] = id, true
			}
		}
	}
}

// checkStageID refuses a malformed id, and that of an earlier stage.
func (c *Content) checkStageID(k *check, field string, i int) {
	if !stageIDPattern.MatchString(c.Stages[i].ID) {
		k.wrong(field+".id", "must be up to 40 lower-case letters, digits and dashes")
	}
	for _, other := range c.Stages[:i] {
		if other.ID == c.Stages[i].ID {
			k.wrong(field+".id", "must differ from the ids of other stages")
		}
	}
}
