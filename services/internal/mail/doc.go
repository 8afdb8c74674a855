// Package mail sends plain text to one reader at a time, over SMTP.
//
// A service makes a River job in the transaction of what happened, and calls [Sender.Deliver] in the job's worker:
//
//	type worker struct {
//		river.WorkerDefaults[args]
//		sender *mail.Sender
//	}
//
//	func (w *worker) NextRetry(job *river.Job[args]) time.Time { return mail.NextRetry(job.Attempt) }
//
//	func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
//		return w.sender.Deliver(ctx, job.JobRow, mail.Message{To: …, Subject: …, Text: …, ID: …})
//	}
//
// The arguments' InsertOpts name [Queue] and [MaxAttempts]. A job has one reader, so that an address that fails does not
// hold up the others.
//
// # What is promised
//
// A message is sent at least once, or given up with a metric and a line in the log. It is sent twice only when the program
// is killed, or the connection breaks, between the server's acceptance and the job's end. Both copies have the same
// Message-ID, by which servers and readers recognise them.
//
// A mail leaves over TLS, or goes to a server on this machine. No error and no log has an address, a text, or a server's
// answer, which may repeat them.
//
// # Without a server
//
// Without SMTP_URL the [Sender] is nil and sends nothing. Callers ask [Sender.Enabled] before they make a job.
//
// # Neighbours
//
// It speaks SMTP by github.com/wneessen/go-mail, and knows River's job row. Texts and languages are its callers'.
package mail
