package markdown

import (
	"bytes"
	"crypto/sha256"
	"html/template"
	"regexp"
	"strings"
	"sync"

	"github.com/maypok86/otter/v2"
	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extensionast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	markdowntext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// linkRel goes on every link of a story: it is somebody else's text, and earns no rank.
const linkRel = "noopener nofollow"

// Renderer turns Markdown into HTML, each text once: see the package. It is safe for concurrent use.
type Renderer struct {
	markdown goldmark.Markdown
	policy   *bluemonday.Policy
	rendered *otter.Cache[textKey, template.HTML]
	// rendering lets one text be rendered at a time.
	rendering sync.Mutex
}

// textKey is the hash of a text and its language.
type textKey [sha256.Size]byte

func keyOf(lang, markdown string) textKey {
	// A language has no zero byte.
	return sha256.Sum256([]byte(lang + "\x00" + markdown))
}

// maxRendered bounds the memory of what was rendered, in bytes: some hundred stories of 20 kB.
const maxRendered = 16 << 20

// New returns the renderer of members' texts. Their headings go below the page's own, and they have no pictures, since each
// would tell another server who reads.
func New() *Renderer { return newRenderer(newPolicy(), fitToPage{down: 1}) }

// NewForGuide returns the renderer of our own pages: the first heading is the page's, and pictures of our own addresses are
// shown.
func NewForGuide() *Renderer {
	policy := newPolicy()
	policy.AllowElements("h1")
	policy.AllowAttrs("src").Matching(regexp.MustCompile(`^/guide/[a-z0-9/-]+\.webp$`)).OnElements("img")
	policy.AllowAttrs("alt", "title").OnElements("img")
	policy.AllowRelativeURLs(true)
	return newRenderer(policy, fitToPage{})
}

func newPolicy() *bluemonday.Policy {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "strong", "em", "del", "ul", "ol", "li", "blockquote", "pre", "code", "h2", "h3", "h4", "h5", "h6")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowAttrs("rel").Matching(regexp.MustCompile("^" + linkRel + "$")).OnElements("a")
	policy.AllowElements("table", "thead", "tbody", "tr", "th", "td")
	policy.AllowAttrs("align").Matching(regexp.MustCompile("^(left|center|right)$")).OnElements("th", "td")
	policy.AllowAttrs("scope").Matching(regexp.MustCompile("^col$")).OnElements("th")
	policy.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	// A link with another scheme, such as javascript:, loses its address.
	policy.AllowURLSchemes("https", "http", "mailto")
	policy.RequireParseableURLs(true)
	return policy
}

func newRenderer(policy *bluemonday.Policy, fit fitToPage) *Renderer {
	return &Renderer{
		markdown: goldmark.New(
			goldmark.WithExtensions(extension.Linkify, extension.Strikethrough,
				// An alignment as an attribute needs no inline style, which the pages' policy refuses.
				extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
			goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(fit, 100), util.Prioritized(typesetter{}, 200))),
		),
		policy: policy,
		// It admits by frequency, so that drafts which a member looks at while typing drive out no story that is read.
		rendered: otter.Must(&otter.Options[textKey, template.HTML]{
			MaximumWeight: maxRendered,
			Weigher:       func(k textKey, html template.HTML) uint32 { return uint32(len(k) + len(html)) },
		}),
	}
}

// Render returns a text as HTML; one that goldmark cannot read is left out.
func (s *Renderer) Render(lang, markdown string) template.HTML {
	key := keyOf(lang, markdown)
	if html, ok := s.rendered.GetIfPresent(key); ok {
		return html
	}
	s.rendering.Lock()
	defer s.rendering.Unlock()
	if html, ok := s.rendered.GetIfPresent(key); ok { // somebody else waited for the same
		return html
	}
	html := s.render(lang, markdown)
	s.rendered.Set(key, html)
	return html
}

func (s *Renderer) render(lang, markdown string) template.HTML {
	var out bytes.Buffer
	context := parser.NewContext()
	context.Set(langKey, lang)
	if err := s.markdown.Convert([]byte(markdown), &out, parser.WithContext(context)); err != nil {
		return ""
	}
	// Sanitised in the same expression: nothing else in this package makes a template.HTML. What is put in afterwards is our
	// own, around tags that are no longer anybody's text.
	return template.HTML(inScroller.Replace(string(s.policy.SanitizeBytes(out.Bytes()))))
}

// inScroller lets what can be wider than a page scroll by itself, also with the keyboard.
var inScroller = strings.NewReplacer(
	"<table>", `<div class="scroll" tabindex="0"><table>`, "</table>", "</table></div>",
	"<pre>", `<pre tabindex="0">`,
)

// Pictures counts the pictures of a text, which are not shown.
func (s *Renderer) Pictures(markdown string) (n int) {
	document := s.markdown.Parser().Parse(markdowntext.NewReader([]byte(markdown)))
	_ = ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering && node.Kind() == ast.KindImage {
			n++
		}
		return ast.WalkContinue, nil
	})
	return n
}

// fitToPage puts headings so many levels down, and marks the links of members' texts.
type fitToPage struct{ down int }

// Transform implements parser.ASTTransformer.
func (f fitToPage) Transform(document *ast.Document, _ markdowntext.Reader, _ parser.Context) {
	_ = ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := node.(type) {
		case *ast.Heading:
			if entering {
				n.Level = min(n.Level+f.down, 6)
			}
		case *extensionast.TableCell:
			if entering && n.Parent().Kind() == extensionast.KindTableHeader {
				n.SetAttributeString("scope", []byte("col"))
			}
		case *ast.Link, *ast.AutoLink:
			if f.down == 0 {
				break // a text of our own
			}
			node.SetAttributeString("rel", []byte(linkRel))
		}
		return ast.WalkContinue, nil
	})
}
