package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/cagnotte/cagnotte/gateway/text"
)

var testFields = []field{
	{Name: "title", Label: "Titre", Required: true},
	{Name: "goal", Label: "But", Kind: "money", Path: "campaign.goal"},
	{Name: "end", Label: "Fin", Kind: "day"},
	{Name: "kind", Label: "Genre", Kind: "radio", Options: []option{{Value: "a", Label: "A"}, {Value: "b", Label: "B"}}},
	{Name: "document", Label: "Document", Kind: "file"},
}

// sent returns a visit with a form that was sent.
func sent(t *testing.T, contentType, body string) *visit {
	t.Helper()
	all, err := text.Load(files, "strings/*.json", text.MemberLanguages)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return &visit{Words: all["fr"], w: httptest.NewRecorder(), r: r}
}

func readForm(t *testing.T, values url.Values) (*visit, *form) {
	t.Helper()
	v := sent(t, "application/x-www-form-urlencoded", values.Encode())
	f, err := v.readForm(testFields)
	if err != nil {
		t.Fatal(err)
	}
	return v, f
}

func refusal(t *testing.T, code codes.Code, details ...protoadapt.MessageV1) error {
	t.Helper()
	st, err := status.New(code, "refused").WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestWhatIsTypedIsRead(t *testing.T) {
	id := "01890a5d-ac96-774b-bcce-b302099a8057"
	_, f := readForm(t, url.Values{"title": {" Avocate "}, "goal": {"1 250,00 €"}, "end": {"31/12/2026"}, "kind": {"b"}, "request_id": {id}})
	if got := f.money("goal", "EUR").GetAmountMinor(); got != 125000 {
		t.Errorf("the amount is %d", got)
	}
	if f.Value("title") != "Avocate" || f.day("end") != "2026-12-31" || f.RequestID != id || f.failed() {
		t.Errorf("%q, %q, %s, %v", f.Value("title"), f.day("end"), f.RequestID, f.errors)
	}
	if kind, err := f.Field("kind"); err != nil || kind.Choices[0].Checked || !kind.Choices[1].Checked {
		t.Errorf("what was chosen: %+v, %v", kind, err)
	}
}

func TestWhatIsWrongStandsAtItsField(t *testing.T) {
	_, f := readForm(t, url.Values{"title": {" "}, "goal": {"1,234"}, "end": {"31/02/2026"}, "request_id": {"no id"}})
	f.money("goal", "EUR")
	f.day("end")
	var wrong []string
	for _, field := range f.Wrong() {
		wrong = append(wrong, field.Name)
	}
	if got := strings.Join(wrong, " "); got != "title goal end" {
		t.Errorf("wrong are %s: %v", got, f.errors)
	}
	if goal, _ := f.Field("goal"); goal.Value != "1,234" {
		t.Errorf("what was typed is now %q", goal.Value)
	}
	if f.RequestID == "no id" {
		t.Error("a request id that is none is kept")
	}
}

func TestWhatTheServiceRefusesStandsAtItsField(t *testing.T) {
	for rule, c := range map[string]struct {
		err             error
		field, says     string
		message, proves bool
		passedOn        bool
	}{
		"a violation, by its path": {err: refusal(t, codes.InvalidArgument, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: "campaign.goal.amount_minor", Description: "must not be negative",
		}}}), field: "goal", says: "négatif"},
		"a violation, by its last name": {err: refusal(t, codes.InvalidArgument, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: "campaign.texts[fr].title", Description: "must have 1 to 80 characters",
		}}}), field: "title", says: "80 caractères"},
		"a violation of a field that the form does not have": {err: refusal(t, codes.InvalidArgument, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: "page_size", Description: "must be positive",
		}}}), message: true},
		"a state, by its sentence":                          {err: refusal(t, codes.FailedPrecondition, &errdetails.LocalizedMessage{Message: "Déjà close."}), message: true},
		"a request that was sent before with other content": {err: refusal(t, codes.AlreadyExists, &errdetails.ErrorInfo{Reason: "REQUEST_ID_REUSED"}), message: true},
		"the need of a proof":                               {err: refusal(t, codes.PermissionDenied, &errdetails.ErrorInfo{Reason: reauthenticationRequired}), message: true, proves: true},
		"nothing of it":                                     {err: status.Error(codes.Unavailable, "down"), passedOn: true},
		"what is not found":                                 {err: status.Error(codes.NotFound, "no"), passedOn: true},
	} {
		t.Run(rule, func(t *testing.T) {
			v, f := readForm(t, url.Values{"title": {"x"}})
			if got := f.refused(v, c.err); got == c.passedOn {
				t.Fatalf("refused: %v", got)
			}
			if got := f.errors[c.field]; !strings.Contains(got, c.says) || (f.Message != "") != c.message || (f.Prove != "") != c.proves {
				t.Errorf("%v, %q, %q", f.errors, f.Message, f.Prove)
			}
		})
	}
}

// Who comes back by the back button to a form that was sent, and changes it, is told; the next press is a request of its own.
func TestAFormThatWasSentBeforeCanBeSentWithOtherContent(t *testing.T) {
	v, f := readForm(t, url.Values{"title": {"x"}, "request_id": {someID}})
	if !f.refused(v, refusal(t, codes.AlreadyExists, &errdetails.ErrorInfo{Reason: "REQUEST_ID_REUSED"})) || f.RequestID == someID || !strings.Contains(f.Message, "déjà été envoyé") {
		t.Errorf("%s: %q", f.RequestID, f.Message)
	}
	// Another refusal keeps the id: the form was not stored.
	if v, f = readForm(t, url.Values{"title": {"x"}, "request_id": {someID}}); !f.refused(v, status.Error(codes.FailedPrecondition, "no")) || f.RequestID != someID {
		t.Errorf("after another refusal the id is %s", f.RequestID)
	}
}

// What the services say in English of what members type is said in the reader's language.
func TestViolationsAreExplained(t *testing.T) {
	v := sent(t, "", "")
	for description, want := range map[string]string{
		"must not be after today, 2026-11-30":                                              "aujourd’hui",
		"must not be before the document's, 2026-11-20":                                    "20\u00a0novembre 2026",
		"must not be before start_date":                                                    "avant le début",
		"is too long before end_date: there may be at most 400 periods":                    "plus courte",
		"must be a day of the calendar, such as 2025-03-31":                                "31/12/2026",
		"must be positive, and at most 10,000,000,000,000":                                 "zéro",
		"must be at least 1":                                                               "zéro",
		"must be between 1 and 10000000000000":                                             "zéro",
		"must not be less than min_amount":                                                 "premier",
		"must be between minimum and maximum, 100 and 80000":                               "plus petit",
		"must keep the sum of the stages within the goal, 0":                               "objectif",
		"must be at least 50, the least that Stripe accepts":                               "Stripe",
		"must have letters or digits, and so must the payee":                               "lettre",
		"must have at most 7 lines":                                                        "7 lignes",
		"must contain no more than 7 item(s)":                                              "7 lignes",
		"must be one line of at most 120 characters":                                       "120",
		"must be 1 to 32 digits, capital letters and hyphens, and not begin with a hyphen": "32",
		"must be the nine digits of a SIREN, without spaces, or empty":                     "neuf",
	} {
		if got := v.explain(description); !strings.Contains(got, want) || strings.Contains(got, "{1}") {
			t.Errorf("%s: %q", description, got)
		}
	}
}

// A form of filters saves nothing, and its summary speaks of the list. A link that lost its token says so in words.
func TestTheSummarySaysWhatWasNotDone(t *testing.T) {
	v := sent(t, "", "")
	v.r.URL.RawQuery = "end=x"
	f := v.queryForm(testFields)
	if f.day("end"); !strings.Contains(f.Summary(), "liste") || strings.Contains(f.Summary(), "enregistré") {
		t.Errorf("of a filter: %q", f.Summary())
	}
	if f := v.newForm(testFields); !strings.Contains(f.Summary(), "enregistré") {
		t.Errorf("of a form: %q", f.Summary())
	}
	f = v.newForm(nil)
	if !f.refused(v, refusal(t, codes.InvalidArgument, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
		Field: "token", Description: "must be at least 1 characters",
	}}})) || !strings.Contains(f.Message, "lien est incomplet") {
		t.Errorf("of a link: %q", f.Message)
	}
}

// The unit, the hint and the error describe an input to a screen reader.
func TestWhatDescribesAnInput(t *testing.T) {
	f := &form{
		Words: sent(t, "", "").Words, errors: map[string]string{"goal": "wrong"},
		fields: []field{{Name: "goal", Kind: "money", Suffix: "€", Hint: "x"}, {Name: "title"}, {Name: "kind", Kind: "select", Suffix: "€"}},
	}
	for name, want := range map[string]string{"goal": "goal-suffix goal-hint goal-error", "title": "", "kind": ""} {
		if v, err := f.Field(name); err != nil || v.Described() != want {
			t.Errorf("%s: %q, want %q: %v", name, v.Described(), want, err)
		}
	}
}

func TestListsOfAmounts(t *testing.T) {
	v := sent(t, "", "")
	for typed, want := range map[string]string{
		"":                   "",
		"5; 20; 50":          "500 2000 5000",
		"5;20":               "500 2000",
		"5, 20, 1\u202f250":  "500 2000 125000",
		"12,50 ; 1 250 €":    "1250 125000",
		"12,50\r\n1 250\r\n": "1250 125000",
		"5 20 50":            "500 2000 5000", // can be no single amount
		"1250":               "125000",
		"1 250; 5 000":       "125000 500000",
		"12,50":              "1250",
		"20 €":               "2000",
		"1 250":              "!1\u202f250",
		"20 100":             "!20\u00a0€ et 100\u00a0€",
		"1,250; 20":          "!deux façons",
		"5,20,50":            "!points-virgules",
		"5 20; 50":           "!points-virgules",
		"vingt":              "!points-virgules",
	} {
		amounts, wrong := presetsOf(v, typed, "EUR")
		if message, refused := strings.CutPrefix(want, "!"); refused {
			if !strings.Contains(wrong, message) || amounts != nil {
				t.Errorf("%q: %v, %q", typed, amounts, wrong)
			}
			continue
		}
		var got []string
		for _, amount := range amounts {
			got = append(got, strconv.FormatInt(amount.GetAmountMinor(), 10))
		}
		if strings.Join(got, " ") != want || wrong != "" {
			t.Errorf("%q: %v, %q", typed, got, wrong)
		}
	}
}

// The summary leads to the field: to the first choice of a group, to a list itself, and nowhere for what nobody sees.
func TestTheSummaryLeadsToTheField(t *testing.T) {
	f := &form{fields: []field{
		{Name: "purpose", Kind: "select", Options: []option{{Value: "a b"}}},
		{Name: "kind", Kind: "radio", Options: []option{{Value: "a"}}},
		{Name: "pledge", Kind: "hidden"},
		{Name: "title"},
	}, Words: sent(t, "", "").Words}
	for name, want := range map[string]string{"purpose": "purpose", "kind": "kind-a", "pledge": "", "title": "title"} {
		if v, err := f.Field(name); err != nil || v.Anchor() != want {
			t.Errorf("%s leads to %q, want %q: %v", name, v.Anchor(), want, err)
		}
	}
}

func TestFilesOfForms(t *testing.T) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	_ = m.WriteField("title", "Relevé")
	part, err := m.CreateFormFile("document", "../../mars.csv")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte("a;b"))
	_ = m.Close()
	v := sent(t, m.FormDataContentType(), body.String())
	f, err := v.readForm(testFields)
	if err != nil {
		t.Fatal(err)
	}
	if file, ok := f.file("document"); !ok || file.Name != "mars.csv" || string(file.Body) != "a;b" || f.Value("title") != "Relevé" {
		t.Errorf("%+v, %v, %q", file, ok, f.Value("title"))
	}
	v = sent(t, m.FormDataContentType(), body.String()[:body.Len()-30])
	if _, err := v.readForm(testFields); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a body that broke off: %v", err)
	}
}

func TestFormsAreEscaped(t *testing.T) {
	all, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	v, f := readForm(t, url.Values{"title": {`"><script>alert(1)</script>`}, "goal": {"x"}})
	f.money("goal", "EUR")
	var out bytes.Buffer
	if err := all["shell/confirmation"].ExecuteTemplate(&out, "content", &page{Words: v.Words, Title: "x", Content: confirmation{Form: f, Lead: "<b>", Back: "javascript:alert(1)"}}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "<script") || strings.Contains(got, "<b>") || strings.Contains(got, "javascript:") || !strings.Contains(got, `aria-invalid="true"`) {
		t.Errorf("the page:\n%s", got)
	}
}
