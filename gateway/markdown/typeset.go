package markdown

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	markdowntext "github.com/yuin/goldmark/text"

	"github.com/cagnotte/cagnotte/gateway/text"
)

// langKey is where the parser's context has the language of the text.
var langKey = parser.NewContextKey()

// typesetter sets the words of a text as its language is printed. Code and addresses are no words.
type typesetter struct{}

// Transform implements parser.ASTTransformer.
func (typesetter) Transform(document *ast.Document, reader markdowntext.Reader, context parser.Context) {
	lang, _ := context.Get(langKey).(string)
	if lang != "fr" {
		return
	}
	_ = ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering || node.Type() != ast.TypeBlock {
			return ast.WalkContinue, nil
		}
		if first := node.FirstChild(); first != nil && first.Type() == ast.TypeInline {
			typesetBlock(node, reader.Source(), lang)
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
}

// typesetBlock sets one paragraph, heading or cell as a whole: quotes may open in one piece of it and close in another.
func typesetBlock(block ast.Node, source []byte, lang string) {
	// A piece is a run of texts side by side: the parser cuts at signs that could have begun something.
	var pieces [][]*ast.Text
	var whole strings.Builder
	var last *ast.Text
	// closed ends a piece that is open.
	closed := func() {
		if last == nil {
			return
		}
		whole.WriteString(text.Break)
		if last.SoftLineBreak() || last.HardLineBreak() {
			whole.WriteString("\n")
		}
		last = nil
	}
	_ = ast.Walk(block, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := node.(type) {
		case *ast.CodeSpan, *ast.AutoLink, *ast.RawHTML:
			// It stands between the pieces like a word.
			closed()
			whole.WriteString(elsewhere)
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			if last == nil || n.PreviousSibling() != ast.Node(last) || last.SoftLineBreak() || last.HardLineBreak() {
				closed()
				whole.WriteString(text.Break)
				pieces = append(pieces, nil)
			}
			whole.WriteString(strings.ReplaceAll(string(n.Segment.Value(source)), text.Break, ""))
			pieces[len(pieces)-1] = append(pieces[len(pieces)-1], n)
			last = n
		}
		return ast.WalkContinue, nil
	})
	closed()
	parts := strings.Split(text.Typeset(lang, whole.String()), text.Break)
	// Between the first two breaks stands a piece, and outside of them what is not set.
	for i, texts := range pieces {
		first := texts[0]
		first.Parent().InsertBefore(first.Parent(), first, ast.NewString([]byte(parts[2*i+1])))
		// The texts keep the ends of their lines.
		for _, t := range texts {
			t.Segment = t.Segment.WithStart(t.Segment.Stop)
		}
	}
}

// elsewhere stands for what is not set.
const elsewhere = "\ufffc"
