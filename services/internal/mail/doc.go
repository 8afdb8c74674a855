// Package mail sends plain text to one reader at a time, over SMTP.
//
// Whoever has something to say makes a River job, in the transaction of what happened, and calls
// [Sender.Deliver] in its worker:
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
// with [Queue] and [MaxAttempts] in the arguments' InsertOpts. One job, one reader: so that one bad address
// keeps no other from its mail.
//
// # What is promised
//
// A message is sent at least once, or given up visibly: by a metric and a line in the log. It is sent twice
// only when the program is killed, or the connection breaks, after the server took it and before that was
// noted; both copies carry the same Message-ID, by which servers and readers know them as one.
//
// A mail leaves over TLS, or stays on this machine. Neither addresses nor texts nor what a server answers,
// which may repeat them, are in an error or a log.
//
// # Without a server
//
// A nil [Sender] is a program without SMTP_URL. It sends nothing: ask [Sender.Enabled] before a job is made.
//
// # Neighbours
//
// It knows SMTP, by github.com/wneessen/go-mail, and River's job row. What is said, and in which language, is
// its callers'.
package mail
