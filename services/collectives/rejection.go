package collectives

import (
	"context"
	"embed"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/money"
)

//go:embed texts.*.json
var catalogueFiles embed.FS

// catalogues reads the texts of mails once. They are part of the program: one that cannot be read is a mistake that a test
// finds.
var catalogues = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{string(money.French), string(money.English)} {
		raw, err := catalogueFiles.ReadFile("texts." + language + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(raw, &texts); err != nil {
			panic("collectives: texts." + language + ".json: " + err.Error())
		}
		all[language] = texts
	}
	return all
})

// rejectionArgs is the job that mails a rejection.
type rejectionArgs struct {
	Application uuid.UUID `json:"application"`
}

// Kind names the job in River.
func (rejectionArgs) Kind() string { return "collective_application_rejected" }

// InsertOpts keeps mails out of other jobs' way.
func (rejectionArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

type rejectionWorker struct {
	river.WorkerDefaults[rejectionArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *rejectionWorker) NextRetry(job *river.Job[rejectionArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *rejectionWorker) Work(ctx context.Context, job *river.Job[rejectionArgs]) error {
	a, err := w.service.GetApplication(ctx, job.Args.Application)
	if err != nil {
		return err
	}
	// The applicant was forgotten meanwhile.
	if a.Email == "" {
		return nil
	}
	subject, text := rejection(a)
	return w.service.mail.Deliver(ctx, job.JobRow, mail.Message{To: a.Email, Subject: subject, Text: text, ID: "application." + a.ID.String()})
}

// rejection is the mail to the applicant, in the language of the application.
func rejection(a Application) (subject, text string) {
	texts := catalogues()[a.Language]
	say := strings.NewReplacer("{applicant}", a.Applicant, "{collective}", a.DisplayName, "{reason}", a.RejectReason)
	return say.Replace(texts["rejected.subject"]), say.Replace(texts["rejected.text"])
}

// Workers adds the workers of this service's jobs.
func (s *Service) Workers(w *river.Workers) {
	river.AddWorker(w, &rejectionWorker{service: s})
}
