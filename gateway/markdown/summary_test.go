package markdown

import (
	"html/template"
	"testing"
)

func TestSummary(t *testing.T) {
	for _, c := range []struct{ name, rendered, want string }{
		{"the first paragraph, without tags", "<h2>Titre</h2><p>La <strong>mairie</strong> &amp; nous.</p><p>Suite.</p>", "La mairie & nous."},
		{"a line break is a space", "<p>Un\ndeux</p>", "Un deux"},
		{"cut after a sentence", "<p>Une phrase assez longue. Une autre qui ne tient plus du tout.</p>", "Une phrase assez longue."},
		{"cut after a word", "<p>Une seule phrase, beaucoup trop longue pour tenir</p>", "Une seule phrase, beaucoup…"},
		{"one word alone", "<p>éééééééééééééééééééééééééééééééééééé</p>", "éééééééééééééééééééééééééééééé…"},
		{"nothing", "<ul><li>a</li></ul>", ""},
	} {
		if got := Summary(template.HTML(c.rendered), 30); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
