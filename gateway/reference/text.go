package reference

import (
	"html/template"
	"regexp"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// failure is a gRPC code with the reasons that stand behind it.
type failure struct {
	Code string
	Text template.HTML
}

var (
	// errorStart finds where a comment begins to list errors: a code of gRPC's and a colon.
	errorStart = regexp.MustCompile(`\b(CANCELLED|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|` +
		`RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|UNAUTHENTICATED): `)
	quoted      = regexp.MustCompile("`([^`]+)`")
	reasonName  = regexp.MustCompile(`\b[A-Z]{2,}(?:_[A-Z]+)+\b`)
	publicMark  = regexp.MustCompile(`\bPublic[.;:,]`)
	sentenceEnd = regexp.MustCompile(`[.;:](\s|$)`)
)

// splitErrors takes the list of errors out of a method's comment.
func splitErrors(comment string) (rest string, errors []failure) {
	starts := errorStart.FindAllStringSubmatchIndex(comment, -1)
	if len(starts) == 0 {
		return comment, nil
	}
	// Each error's text ends where the next one begins.
	for i, at := range starts {
		end := len(comment)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		errors = append(errors, failure{comment[at[2]:at[3]], inline(comment[at[1]:end])})
	}
	return strings.TrimSpace(comment[:starts[0][0]]), errors
}

// firstSentence is what the list of all calls says of one.
func firstSentence(comment string) string {
	paragraph, _, _ := strings.Cut(comment, "\n\n")
	paragraph = strings.Join(strings.Fields(paragraph), " ")
	// Half a sentence is enough for a list, so a colon or a semicolon ends it as well.
	if at := sentenceEnd.FindStringIndex(paragraph); at != nil {
		paragraph = paragraph[:at[0]]
	}
	return strings.ReplaceAll(paragraph, "`", "") + "."
}

// isPublic reports whether a comment says that no key is needed.
func isPublic(comment string) bool {
	return publicMark.MatchString(comment)
}

// render makes paragraphs of a comment.
func render(comment string) template.HTML {
	var out strings.Builder
	for paragraph := range strings.SplitSeq(comment, "\n\n") {
		if strings.TrimSpace(paragraph) != "" {
			out.WriteString("<p>" + string(inline(paragraph)) + "</p>")
		}
	}
	// Escaped piece by piece in inline.
	return template.HTML(out.String()) //nolint:gosec
}

// linkReason sets a name in capitals as code, and links it to its meaning when it is the reason of an error.
func linkReason(name string) string {
	if errorsv1.ReasonOf(name) == errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return "<code>" + name + "</code>"
	}
	return `<a href="/api/errors#` + name + `"><code>` + name + "</code></a>"
}

// inline escapes a text, sets what is code as code, and links the reasons of errors.
func inline(text string) template.HTML {
	text = template.HTMLEscapeString(strings.Join(strings.Fields(text), " "))
	var out strings.Builder
	last := 0
	// What stands between back quotes is not searched for names of reasons.
	for _, at := range quoted.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(reasonName.ReplaceAllStringFunc(text[last:at[0]], linkReason))
		out.WriteString("<code>" + text[at[2]:at[3]] + "</code>")
		last = at[1]
	}
	out.WriteString(reasonName.ReplaceAllStringFunc(text[last:], linkReason))
	return template.HTML(out.String()) //nolint:gosec
}
