package campaigns

import (
	"regexp"
	"strconv"
)

var stageIDPattern = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// nameStages gives every stage without an id one: that of the stage before with the same French title, or else the
// smallest number that none has and none before had, so that what was spent on a stage stays with it.
func (c *Content) nameStages(before []Stage) {
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
	next := 1
	for i := range c.Stages {
		for ; c.Stages[i].ID == ""; next++ {
			if id := strconv.Itoa(next); !used[id] {
				c.Stages[i].ID, used[id] = id, true
			}
		}
	}
}

// checkStageID refuses an id that is none, or is that of a stage before it.
func (c *Content) checkStageID(k *check, field string, i int) {
	if !stageIDPattern.MatchString(c.Stages[i].ID) {
		k.wrong(field+".id", "must be up to 40 small letters, digits and dashes")
	}
	for _, other := range c.Stages[:i] {
		if other.ID == c.Stages[i].ID {
			k.wrong(field+".id", "must not be another stage's")
		}
	}
}
