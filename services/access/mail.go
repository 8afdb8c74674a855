package access

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/cagnotte/cagnotte/services/internal/mail"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// linkArgs is the job that mails a sign-in link. It has neither the address nor a token: the job finds the member by the
// hash, and makes the token.
type linkArgs struct {
	EmailHash   []byte `json:"email_hash"`
	BrowserHash []byte `json:"browser_hash"`
	Language    string `json:"language"`
	// Requested is when it was asked for: the link ends 15 minutes later, however long its mail takes.
	Requested time.Time `json:"requested"`
}

// Kind names the job in River.
func (linkArgs) Kind() string { return "access_sign_in_link" }

// InsertOpts: mails have a queue of their own.
func (linkArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

// invitationArgs is the job that mails an invitation. It makes the token.
type invitationArgs struct {
	Invitation uuid.UUID `json:"invitation"`
}

// Kind names the job in River.
func (invitationArgs) Kind() string { return "access_invitation" }

// InsertOpts: mails have a queue of their own.
func (invitationArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mail.Queue, MaxAttempts: mail.MaxAttempts}
}

// forgetArgs is the job of [Service.Forget].
type forgetArgs struct{}

// Kind names the job in River.
func (forgetArgs) Kind() string { return "access_forget" }

// Workers adds the workers of the package's jobs.
func (s *Service) Workers(workers *river.Workers) {
	river.AddWorker(workers, &linkWorker{service: s})
	river.AddWorker(workers, &invitationWorker{service: s})
	river.AddWorker(workers, &emailChangeWorker{service: s})
	river.AddWorker(workers, &emailNoticeWorker{service: s})
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[forgetArgs]) error { return s.Forget(ctx) }))
}

// forgetEvery is how often rows without use are deleted.
const forgetEvery = time.Hour

// PeriodicJobs returns what the package does again and again.
func (s *Service) PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(forgetEvery), func() (river.JobArgs, *river.InsertOpts) { return forgetArgs{}, nil }, nil),
	}
}

type linkWorker struct {
	river.WorkerDefaults[linkArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *linkWorker) NextRetry(job *river.Job[linkArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

// Work implements river.Worker.
func (w *linkWorker) Work(ctx context.Context, job *river.Job[linkArgs]) error {
	s, args := w.service, job.Args
	expires := args.Requested.Add(linkLife)
	if !s.now().Before(expires) {
		return nil // a link that does not work any more helps nobody
	}
	var (
		m     Member
		found bool
		link  string
	)
	// Each attempt makes another token, since only the hash of an earlier one is stored.
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) (err error) {
		if m, found, err = memberByEmailTx(ctx, tx, args.EmailHash); err != nil || !found {
			return err
		}
		link, err = s.newLinkTx(ctx, tx, m.ID, args.BrowserHash, expires)
		return err
	})
	if err != nil || !found {
		return err
	}
	subject, text := say(m.Language, "link", "{name}", m.DisplayName, "{link}", link)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{To: m.Email, Subject: subject, Text: text, ID: uuid.NewSHA1(m.ID, []byte(link)).String()})
}

type invitationWorker struct {
	river.WorkerDefaults[invitationArgs]
	service *Service
}

// NextRetry implements river.Worker.
func (w *invitationWorker) NextRetry(job *river.Job[invitationArgs]) time.Time {
	return mail.NextRetry(job.Attempt)
}

const invitationToMailSQL = `
SELECT` + invitationColumns + `
FROM access.invitations AS i
WHERE i.id = @id
FOR NO KEY UPDATE OF i`

const setTokenSQL = `
UPDATE access.invitations AS i
SET token_hash = @hash
WHERE i.id = @id`

// Work implements river.Worker.
func (w *invitationWorker) Work(ctx context.Context, job *river.Job[invitationArgs]) error {
	s := w.service
	var i Invitation
	token := randomSecret()
	// An earlier attempt's token, of which only the hash was stored, works no more.
	err := postgres.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, invitationToMailSQL, pgx.NamedArgs{"id": job.Args.Invitation})
		if err != nil {
			return postgres.Error(err)
		}
		found, err := pgx.CollectRows(rows, rowToInvitation)
		if err != nil || len(found) == 0 || !found[0].pending(s.now()) {
			return postgres.Error(err)
		}
		i = found[0]
		hash := sha256.Sum256([]byte(token))
		_, err = tx.Exec(ctx, setTokenSQL, pgx.NamedArgs{"id": i.ID, "hash": hash[:]})
		return postgres.Error(err)
	})
	if err != nil || i.ID == uuid.Nil {
		return err
	}
	texts, what := catalogues()[i.Language], "invitation"
	if i.Collective == "" {
		what = "operator_invitation"
	}
	inviter := i.InviterName
	if i.ByOperator || inviter == "" {
		inviter = texts["operator"]
	}
	subject, text := say(i.Language, what, "{inviter}", inviter, "{collective}", i.CollectiveName, "{role}", texts["role."+string(i.Role)],
		"{link}", s.cfg.PublicURL+"/console/sign-in/invitation?token="+token)
	return s.cfg.Mail.Deliver(ctx, job.JobRow, mail.Message{To: i.Email, Subject: subject, Text: text, ID: uuid.NewSHA1(i.ID, []byte(token)).String()})
}

//go:embed texts.*.json
var catalogueFiles embed.FS

// catalogues reads the texts of mails once, by language. They are part of the program: one that cannot be read is a mistake
// that a test finds.
var catalogues = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{"fr", "en"} {
		raw, err := catalogueFiles.ReadFile("texts." + language + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(raw, &texts); err != nil {
			panic("access: texts." + language + ".json: " + err.Error())
		}
		all[language] = texts
	}
	return all
})

// say returns the subject and text of a mail. Values are put in as they are: names are one line each.
func say(language, what string, values ...string) (subject, text string) {
	texts, replace := catalogues()[language], strings.NewReplacer(values...)
	return replace.Replace(texts[what+".subject"]), replace.Replace(texts[what+".text"]) + "\n"
}
