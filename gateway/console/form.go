package console

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cagnotte/cagnotte/gateway/text"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

// reauthenticationRequired is the reason of a call that needs a fresh proof.
const reauthenticationRequired = "REAUTHENTICATION_REQUIRED"

// field is an input of a form. The template of the page places it: {{template "field" (.Form.Field "amount")}}.
type field struct {
	// Name is the input's, and the id of its element.
	Name string
	// Label and Hint are keys of sentences, or texts. Hint may be empty.
	Label, Hint string
	// Kind is "text" when empty; or "email", "url", "tel", "money", "day", "month", "number", "textarea", "select", "radio",
	// "checkbox", "checkboxes" (several of Options), "file", "hidden".
	Kind string
	// Required marks what must be filled in; form.check refuses it empty.
	Required bool
	// Native has the browser ask for it too, before anything is sent: beside a file, which would be sent in vain.
	Native bool
	// Suffix stands behind the input: "€", "%".
	Suffix string
	// Max is how many characters may be typed; zero for 200, and 20,000 in a textarea.
	Max int
	// Rows of a textarea; 5 when zero.
	Rows int
	// Autocomplete is the token of HTML: "email", "name"; "off" when empty.
	Autocomplete string
	// Accept are the kinds of files: ".csv,.xml".
	Accept string
	// Options are what can be chosen.
	Options []option
	// Path is the field of the request that it fills, where its last part has another name: "campaign.goal.amount_minor".
	Path string
	// Spellcheck, Autofocus and Mono (figures and letters of one width) are for text.
	Spellcheck, Autofocus, Mono bool
}

// option is a value to choose. Label and Hint are texts.
type option struct{ Value, Label, Hint string }

// upload is a file that came with a form.
type upload struct {
	Name, Type string
	Body       []byte
}

// form is what a page has to be filled in, with what was typed and what is wrong with it.
type form struct {
	*text.Words
	// RequestID goes with the form, so that the service recognises the second of two equal requests.
	RequestID string
	// Action is where it is sent; its own page when empty.
	Action string
	// Message says what is wrong with the whole of it.
	Message string
	// summary is the key of what the summary of a refused form begins with; that nothing was saved, when empty.
	summary string
	// Prove is where a fresh proof can be given; empty when none is needed. What was typed stays.
	Prove  string
	fields []field
	values url.Values
	files  map[string]upload
	errors map[string]string
}

// newForm returns a form to be filled in. Values follow as name, value, name, value.
func (v *visit) newForm(fields []field, values ...string) *form {
	f := &form{Words: v.Words, RequestID: uuid.NewString(), fields: fields, values: url.Values{}, errors: map[string]string{}}
	for i := 0; i+1 < len(values); i += 2 {
		f.values.Add(values[i], values[i+1])
	}
	return f
}

// readForm reads the form that was sent, with its files, and refuses what is required and empty. What is wrong is noted in
// the form, not returned: ask form.failed. The error is for a body that cannot be read.
func (v *visit) readForm(fields []field) (*form, error) {
	f := v.newForm(fields)
	f.files = map[string]upload{}
	if err := f.read(v.r); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, status.Error(codes.InvalidArgument, "the form cannot be read")
	}
	if id, err := uuid.Parse(f.values.Get("request_id")); err == nil {
		f.RequestID = id.String()
	}
	f.check()
	return f, nil
}

// queryForm returns a form of filters, filled in from the address's query. It asks for a list and saves nothing.
func (v *visit) queryForm(fields []field) *form {
	f := v.newForm(fields)
	f.summary = "shell.filterRefused"
	for _, d := range fields {
		f.values[d.Name] = v.r.URL.Query()[d.Name]
	}
	return f
}

// read takes the values and files of the body. Files are read whole, up to the route's limit for the body.
func (f *form) read(r *http.Request) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		if err := r.ParseForm(); err != nil {
			return err
		}
		maps.Copy(f.values, r.PostForm)
		return nil
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		// Browsers send an input without a file as an empty one without a name.
		switch {
		case part.FileName() != "":
			f.files[part.FormName()] = upload{Name: part.FileName(), Type: part.Header.Get("Content-Type"), Body: body}
		default:
			f.values.Add(part.FormName(), string(body))
		}
	}
}

// ask gives the form its fields where they depend on what was sent, and refuses what is required and empty.
func (f *form) ask(fields []field) {
	f.fields = fields
	f.check()
}

// check refuses what is required and empty, and what is no text.
func (f *form) check() {
	for _, d := range f.fields {
		for i, value := range f.values[d.Name] {
			if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
				f.fail(d.Name, f.T("shell.wrongCharacters"))
				f.values[d.Name][i] = strings.ToValidUTF8(strings.ReplaceAll(value, "\x00", ""), "")
			}
		}
		if !d.Required {
			continue
		}
		_, uploaded := f.files[d.Name]
		if d.Kind == "file" && !uploaded || d.Kind != "file" && f.Value(d.Name) == "" {
			f.fail(d.Name, f.T("shell.required"))
		}
	}
}

// Value is what was typed, without space around it.
func (f *form) Value(name string) string { return strings.TrimSpace(f.values.Get(name)) }

// Values are those of a name that can be chosen several times.
func (f *form) Values(name string) []string { return f.values[name] }

// Checked reports whether a box is ticked.
func (f *form) Checked(name string) bool { return f.values.Get(name) != "" }

// set changes a value.
func (f *form) set(name, value string) { f.values.Set(name, value) }

// file returns the file of a field; false when none was sent.
func (f *form) file(name string) (upload, bool) {
	u, ok := f.files[name]
	return u, ok
}

// money reads an amount. Without one the field is refused if it is required, and the amount is nil.
func (f *form) money(name, currency string) *moneyv1.Money {
	typed := f.Value(name)
	if typed == "" {
		return nil
	}
	amount, err := text.ParseMoney(typed, currency)
	switch {
	case errors.Is(err, text.ErrAmbiguous):
		f.fail(name, f.T("shell.amountAmbiguous"))
	case err != nil:
		f.fail(name, f.T("shell.amountWrong"))
	}
	return amount
}

// day reads a day as YYYY-MM-DD; empty for none.
func (f *form) day(name string) string {
	typed := f.Value(name)
	if typed == "" {
		return ""
	}
	day, err := text.ParseDay(typed)
	if err != nil {
		f.fail(name, f.T("shell.dayWrong"))
	}
	return day
}

// focus has the page begin in a field.
func (f *form) focus(name string) {
	for i := range f.fields {
		f.fields[i].Autofocus = f.fields[i].Name == name
	}
}

// fail says what is wrong with a field, as a text. The first thing that is wrong stays.
func (f *form) fail(name, wrong string) {
	if f.errors[name] == "" {
		f.errors[name] = wrong
	}
}

// failed reports whether something is wrong.
func (f *form) failed() bool { return len(f.errors) > 0 || f.Message != "" }

// Failed is failed for templates.
func (f *form) Failed() bool { return f.failed() }

// Summary is what the summary of a refused form begins with.
func (f *form) Summary() string { return f.T(cmp.Or(f.summary, "shell.summary")) }

// refused notes why a call refused the form: at the fields that it names, else in the message. False for an error that is
// not about what was sent: return that one.
func (f *form) refused(v *visit, err error) bool {
	st := status.Convert(err)
	switch st.Code() {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.AlreadyExists, codes.OutOfRange, codes.ResourceExhausted, codes.Aborted:
	default:
		if reasonOf(err) != reauthenticationRequired {
			return false
		}
	}
	if reasonOf(err) == reauthenticationRequired {
		f.Message, f.Prove = f.T("shell.proveAgain"), confirmPath("/console/confirmed")
		return true
	}
	if reasonOf(err) == "REQUEST_ID_REUSED" {
		// Who came back by the back button and changed something means another request, once they have read that.
		f.RequestID, f.Message = uuid.NewString(), f.T("shell.sentBefore")
		return true
	}
	located := false
	for _, detail := range st.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, violation := range bad.GetFieldViolations() {
			name := f.fieldOf(violation.GetField())
			if name == "" && violation.GetField() == "token" {
				// A mailed link has it in its address, and lost it on the way.
				f.Message = f.T("shell.linkBroken")
				continue
			}
			if name == "" {
				// What the form does not have is said with its name: somebody must learn of it.
				f.Message = f.T("shell.refusedField", "field", violation.GetField(), "why", violation.GetDescription())
				continue
			}
			located = true
			f.fail(name, v.explain(violation.GetDescription()))
		}
	}
	if !located && f.Message == "" {
		f.Message = localized(st)
	}
	if !f.failed() {
		f.Message = f.T("shell.refused")
	}
	return true
}

// fieldOf is the field of the form that fills a field of the request.
func (f *form) fieldOf(path string) string {
	for _, d := range f.fields {
		if d.Path != "" && (path == d.Path || strings.HasPrefix(path, d.Path+".") || strings.HasPrefix(path, d.Path+"[")) {
			return d.Name
		}
	}
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	for _, segment := range slices.Backward(segments) {
		for _, d := range f.fields {
			if d.Name == segment {
				return d.Name
			}
		}
	}
	return ""
}

// localized is the sentence for people of an error; empty when it has none.
func localized(st *status.Status) string {
	for _, detail := range st.Details() {
		if m, ok := detail.(*errdetails.LocalizedMessage); ok {
			return m.GetMessage()
		}
	}
	return ""
}

// reasonOf is an error's reason in the contract, such as "CAMPAIGN_EXISTS"; empty for none.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// explanations are the violations that services describe in English, as keys of sentences. {1} and {2} are the groups.
var explanations = []struct {
	pattern *regexp.Regexp
	key     string
}{
	{regexp.MustCompile(`^(?:value )?(?:is required|must not be empty)`), "shell.required"},
	{regexp.MustCompile(`^must be one line of (?:1 to|at most) (\d+) (?:visible )?characters`), "shell.wrongLine"},
	{regexp.MustCompile(`^must (?:have|be) (?:lines of )?1 to (\d+) (?:visible )?characters`), "shell.wrongLength"},
	{regexp.MustCompile(`must be at most (\d+) characters`), "shell.wrongLength"},
	{regexp.MustCompile(`must be at least (\d+) characters`), "shell.wrongShort"},
	{regexp.MustCompile(`^must be in the future`), "shell.wrongFuture"},
	{regexp.MustCompile(`^must (?:be in the past|not be in the future)`), "shell.wrongPast"},
	{regexp.MustCompile(`^must not be after today`), "shell.wrongToday"},
	{regexp.MustCompile(`^must not be before (?:the document's, )?(\d{4}-\d{2}-\d{2})`), "shell.wrongBefore"},
	{regexp.MustCompile(`^must not be before start_`), "shell.wrongOrder"},
	{regexp.MustCompile(`^is too long before end_date`), "shell.wrongPeriod"},
	{regexp.MustCompile(`^must be a day of the calendar`), "shell.dayWrong"},
	{regexp.MustCompile(`^must be (?:positive|at least 1$|between 1 and )`), "shell.wrongPositive"},
	{regexp.MustCompile(`^must not be less than min_amount`), "shell.wrongAmounts"},
	{regexp.MustCompile(`^must be between minimum and maximum`), "shell.wrongPresets"},
	{regexp.MustCompile(`^must keep the sum of the stages within`), "shell.wrongStages"},
	{regexp.MustCompile(`the least that Stripe accepts`), "shell.wrongLeast"},
	{regexp.MustCompile(`^must have no address of a site`), "shell.wrongLink"},
	{regexp.MustCompile(`^must have letters or digits`), "shell.wrongLetters"},
	{regexp.MustCompile(`^must (?:have at most|contain no more than) (\d+) (?:lines|item)`), "shell.wrongLines"},
	{regexp.MustCompile(`^must be 1 to 32 digits, capital letters`), "shell.wrongCode"},
	{regexp.MustCompile(`nine digits of a SIREN`), "shell.wrongSiren"},
	{regexp.MustCompile(`^must not be negative`), "shell.wrongNegative"},
	{regexp.MustCompile(`^must be an IBAN`), "shell.wrongIBAN"},
	{regexp.MustCompile(`^must be a BIC`), "shell.wrongBIC"},
	{regexp.MustCompile(`^must be 3 to 40 lower-case letters`), "shell.wrongID"},
	{regexp.MustCompile(`\^\(?\[a-z\]\[a-z0-9-\]`), "shell.wrongID"}, // the pattern of ids in the contract
	{regexp.MustCompile(`(?:valid email|e-mail address|an address of e-mail)`), "shell.wrongEmail"},
	{regexp.MustCompile(`must be (?:a valid URI|an origin|https)`), "shell.wrongURL"},
}

// explain says a violation in the reader's language: in their words where they are known, else that the field is to be
// looked at, with the service's own words in English.
func (v *visit) explain(description string) string {
	for _, e := range explanations {
		m := e.pattern.FindStringSubmatch(description)
		if m == nil {
			continue
		}
		value := ""
		if len(m) > 1 {
			value = v.Day(m[1])
		}
		return v.T(e.key, "1", value)
	}
	if v.Lang == "en" && description != "" {
		return strings.ToUpper(description[:1]) + description[1:] + "."
	}
	return v.T("shell.wrong")
}

// fieldView is a field with what was typed, for its template.
type fieldView struct {
	field
	*text.Words
	Value, Error string
	Choices      []choice
}

type choice struct {
	option
	ID      string
	Checked bool
}

// Suffixed reports whether the suffix is shown, behind an input of one line.
func (v *fieldView) Suffixed() bool {
	return v.Suffix != "" && !slices.Contains([]string{"hidden", "textarea", "select", "radio", "checkbox", "checkboxes", "file"}, v.Kind)
}

// Described are the ids of what describes the input to a screen reader: its unit, its hint, its error.
func (v *fieldView) Described() string {
	var ids []string
	for part, there := range []bool{v.Suffixed(), v.Hint != "", v.Error != ""} {
		if there {
			ids = append(ids, v.Name+[]string{"-suffix", "-hint", "-error"}[part])
		}
	}
	return strings.Join(ids, " ")
}

// Anchor is the id of the element that the summary leads to; empty for a field that nobody sees.
func (v *fieldView) Anchor() string {
	switch v.Kind {
	case "hidden":
		return ""
	case "radio", "checkboxes":
		if len(v.Choices) > 0 {
			return v.Choices[0].ID
		}
	}
	return v.Name
}

// Field is an input for the template "field".
func (f *form) Field(name string) (*fieldView, error) {
	for _, d := range f.fields {
		if d.Name != name {
			continue
		}
		v := &fieldView{field: d, Words: f.Words, Value: f.values.Get(name), Error: f.errors[name]}
		v.Label = f.T(d.Label)
		if d.Hint != "" {
			v.Hint = f.T(d.Hint)
		}
		if v.Max == 0 {
			v.Max = 200
			if d.Kind == "textarea" {
				v.Max = 20_000
			}
		}
		if v.Rows == 0 {
			v.Rows = 5
		}
		if v.Autocomplete == "" {
			v.Autocomplete = "off"
		}
		for _, o := range d.Options {
			v.Choices = append(v.Choices, choice{o, name + "-" + o.Value, slices.Contains(f.values[name], o.Value)})
		}
		return v, nil
	}
	return nil, errors.New("console: the form has no field " + name)
}

// Fields are all inputs, in their order.
func (f *form) Fields() []*fieldView {
	all := make([]*fieldView, 0, len(f.fields))
	for _, d := range f.fields {
		v, _ := f.Field(d.Name) // it is there
		all = append(all, v)
	}
	return all
}

// Wrong lists the fields with an error, in their order, for the summary.
func (f *form) Wrong() []*fieldView {
	var wrong []*fieldView
	for _, v := range f.Fields() {
		if v.Error != "" {
			wrong = append(wrong, v)
		}
	}
	return wrong
}

// HasFiles reports whether the form must be sent as multipart/form-data.
func (f *form) HasFiles() bool {
	return slices.ContainsFunc(f.fields, func(d field) bool { return d.Kind == "file" })
}

// Filled reports whether a filter that can be seen is set.
func (f *form) Filled() bool {
	return slices.ContainsFunc(f.fields, func(d field) bool { return d.Kind != "hidden" && f.Value(d.Name) != "" })
}
