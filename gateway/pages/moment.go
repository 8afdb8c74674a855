package pages

import (
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

//go:embed moment.js
var momentScript []byte

// The fields that the page adds to those of the form that was sent.
const (
	// solutionField is the challenge with its answer, or the challenge alone, which counts once it is old enough.
	solutionField = "challenge"
	// readyField is when the challenge alone counts, in seconds of Unix time. It only saves a call that would be refused.
	readyField = "ready"
)

// momentView is the page that a donor waits on while more payments are started than usual. Its script solves the challenge
// within a second or so and sends the form again. Without a script a button does, after Wait.
type momentView struct {
	// Action is where the form goes, and Fields what was sent.
	Action string
	Fields []hiddenField
	// Challenge and Difficulty are for the script, and Wait says how long the button waits without it; Seconds is the same.
	Challenge  string
	Difficulty int
	Ready      int64
	Seconds    int
	Wait       string
	// Early says that the button was pressed before the wait was over.
	Early bool
}

type hiddenField struct{ Name, Value string }

// solved returns what the form says of a challenge, for the call that starts a payment; ok is false when the page has answered
// that its wait is not over. The form has been read.
func (s *site) solved(w http.ResponseWriter, r *http.Request, p *page) (solution string, ok bool) {
	solution = r.PostForm.Get(solutionField)
	ready, err := strconv.ParseInt(r.PostForm.Get(readyField), 10, 64)
	// A challenge with an answer has a point between the two. A wait beyond the longest was not written by us.
	left := time.Until(time.Unix(ready, 0))
	if err != nil || solution == "" || strings.Contains(solution, ".") || left <= 0 || left > 5*time.Minute {
		return solution, true
	}
	difficulty, _ := strconv.Atoi(r.PostForm.Get("difficulty"))
	s.answerMoment(w, r, p, momentView{Challenge: solution, Difficulty: difficulty, Ready: ready, Early: true})
	return "", false
}

// moment answers an error that asks for a challenge; false for other errors.
func (s *site) moment(w http.ResponseWriter, r *http.Request, p *page, err error) bool {
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || errorsv1.ReasonOf(info.GetReason()) != errorsv1.ErrorReason_CHALLENGE_REQUIRED {
			continue
		}
		difficulty, _ := strconv.Atoi(info.GetMetadata()["difficulty"])
		seconds, _ := strconv.Atoi(info.GetMetadata()["ticket_wait_seconds"])
		s.answerMoment(w, r, p, momentView{
			// One second more than the service asks for, since its clock and ours need not agree to the second.
			Challenge: info.GetMetadata()["challenge"], Difficulty: difficulty, Ready: time.Now().Unix() + int64(seconds) + 1,
		})
		return true
	}
	return false
}

// answerMoment writes the page.
func (s *site) answerMoment(w http.ResponseWriter, r *http.Request, p *page, v momentView) {
	v.Action = (&url.URL{Path: r.URL.Path}).EscapedPath() + p.Query
	v.Seconds = max(1, int(v.Ready-time.Now().Unix()))
	v.Wait = p.Wait(time.Duration(v.Seconds) * time.Second)
	for name, values := range r.PostForm {
		if name == solutionField || name == readyField || name == "difficulty" {
			continue
		}
		for _, value := range values {
			v.Fields = append(v.Fields, hiddenField{name, value})
		}
	}
	slices.SortStableFunc(v.Fields, func(a, b hiddenField) int { return strings.Compare(a.Name, b.Name) })
	p.Title, p.NoIndex, p.Content, p.Script, p.Share = p.T("moment.title"), true, v, s.momentScript, nil
	s.answer(w, r, http.StatusPreconditionRequired, "moment", p, cacheNever)
}
