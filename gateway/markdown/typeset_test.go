package markdown

import (
	"strings"
	"testing"
)

// In what is wanted ~ is a thin no-break space.
func TestStoriesAreSetInFrench(t *testing.T) {
	s := New()
	for story, want := range map[string]string{
		"Oui !":                            "<p>Oui~!</p>",
		"**Attention** ! L'eau d'*ici*...": "<p><strong>Attention</strong>~! L’eau d’<em>ici</em>…</p>",
		"Il dit \"**non** et\nnon\", `a !  \"b\"` !": "<p>Il dit «~<strong>non</strong> et\nnon~», <code>a !  &#34;b&#34;</code>~!</p>",
		"    code !": "<pre tabindex=\"0\"><code>code !\n</code></pre>",
		"[ici !](https://a.example/?q=l'eau) : oui": `<p><a href="https://a.example/?q=l&#39;eau" rel="noopener nofollow">ici~!</a>~: oui</p>`,
		"https://a.example/b?c!d:e":                 `<p><a href="https://a.example/b?c!d:e" rel="noopener nofollow">https://a.example/b?c!d:e</a></p>`,
		"Pain &amp; vin \\! ; AT&T; `a`":            "<p>Pain &amp; vin !~; AT&amp;T; <code>a</code></p>",
		"# Pourquoi ?\n\n- un : deux":               "<h2>Pourquoi~?</h2>\n<ul>\n<li>un~: deux</li>\n</ul>",
		"fin de ligne !  \nsuite":                   "<p>fin de ligne~!<br>\nsuite</p>",
		"un  <b>deux</b> !":                         "<p>un  deux~!</p>",
	} {
		got := strings.TrimSpace(string(s.Render("fr", story)))
		if want := strings.ReplaceAll(want, "~", "\u202f"); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", story, got, want)
		}
	}
}

func TestTables(t *testing.T) {
	got := string(New().Render("fr", "| Poste | Coût |\n| --- | ---: |\n| Avocate ! | 1 700 € |\n| <script>x</script> | a\\|b |"))
	for _, want := range []string{
		`<div class="scroll" tabindex="0"><table>`, `<th scope="col">Poste</th>`, `<th align="right" scope="col">Coût</th>`,
		"<td>Avocate\u202f!</td>", "<td align=\"right\">1\u202f700\u00a0€</td>", ">a|b</td>", "</table></div>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "script") || strings.Contains(got, "style") {
		t.Errorf("it has what a story must not have:\n%s", got)
	}
	// What somebody writes is no tag of ours.
	if got := string(New().Render("fr", "`<table>` &lt;pre&gt;")); strings.Contains(got, "tabindex") {
		t.Errorf("text became a tag: %s", got)
	}
}

func TestPicturesAreCounted(t *testing.T) {
	if got := New().Pictures("![a](https://a.example/b.png) et `![c](d)` et ![e][f]\n\n[f]: https://f.example/"); got != 2 {
		t.Errorf("got %d", got)
	}
}
