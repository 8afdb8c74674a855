package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

// SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	idleInTransaction    = "25P03"

	classConnection = "08"
	classData       = "22"
	classIntegrity  = "23"
	classResources  = "53"
	// classShutdown is 57P: the server stops, crashed or is starting.
	classShutdown = "57P"
)

// retryAfter is when callers may try again after the database was unavailable: a restart takes about that long.
const retryAfter = 2 * time.Second

// Error returns what an error of the database means to a caller, as an errs.Error. It decides by SQLSTATE, never by the
// text. It returns nil for nil, and an errs.Error as it is.
//
//	ABORTED            TRANSACTION_CONFLICT   another transaction conflicted: the caller may send the request again
//	UNAVAILABLE        DATABASE_UNAVAILABLE   no connection, shutting down, too many clients
//	UNAVAILABLE        DATABASE_TIMEOUT       the statement took too long and was ended
//	INVALID_ARGUMENT   INVALID_VALUE          a value that Postgres cannot store, such as a NUL in a text
//	CANCELED, DEADLINE_EXCEEDED               the caller's context ended
//	INTERNAL           INTERNAL               all others; [ErrorFor] handles constraints
//
// Callers turn pgx.ErrNoRows into errs.NotFound before, since only they know the name of the resource.
func Error(err error) error {
	var classified *errs.Error
	if err == nil || errors.As(err, &classified) {
		return err
	}
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled):
		return because(err, errs.New(errorsv1.ErrorReason_CANCELED, "The caller went away."))
	case errors.Is(err, context.DeadlineExceeded):
		return because(err, errs.New(errorsv1.ErrorReason_DEADLINE_EXCEEDED, "The time for the request is over."))
	case errors.As(err, &pgErr):
		return bySQLState(err, pgErr.Code)
	case connectionLost(err):
		return unavailable(err)
	}
	return errs.Internal(err)
}

func bySQLState(err error, code string) error {
	switch {
	case code == serializationFailure, code == deadlockDetected, code == lockNotAvailable:
		return because(err, errs.New(errorsv1.ErrorReason_TRANSACTION_CONFLICT, "Another change was in the way; send the request again."))
	case code == queryCanceled:
		return errs.Unavailable(errorsv1.ErrorReason_DATABASE_TIMEOUT, retryAfter, err, "The database took too long.")
	case code == idleInTransaction,
		strings.HasPrefix(code, classConnection),
		strings.HasPrefix(code, classResources),
		strings.HasPrefix(code, classShutdown):
		return unavailable(err)
	case strings.HasPrefix(code, classData):
		return because(err, errs.New(errorsv1.ErrorReason_INVALID_VALUE, "A value of the request cannot be stored."))
	}
	return errs.Internal(err)
}

func unavailable(cause error) error {
	return errs.Unavailable(errorsv1.ErrorReason_DATABASE_UNAVAILABLE, retryAfter, cause, "The database is not available.")
}

// connectionLost reports whether the connection failed, for which there is no SQLSTATE.
func connectionLost(err error) bool {
	var (
		connectErr *pgconn.ConnectError
		netErr     net.Error
	)
	return errors.As(err, &connectErr) || errors.As(err, &netErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// Away reports whether err is a failure of the database and not of the request, so that the same request may succeed later.
func Away(err error) bool {
	switch errs.As(err).Reason {
	case errorsv1.ErrorReason_DATABASE_UNAVAILABLE, errorsv1.ErrorReason_DATABASE_TIMEOUT, errorsv1.ErrorReason_TRANSACTION_CONFLICT:
		return true
	}
	return false
}

// Constraint reports whether err is a violation of the constraint with this name: a unique constraint, a foreign key, a
// check, an exclusion, or an exception that a trigger raised under the name.
func Constraint(err error, name string) bool {
	violated, ok := violatedConstraint(err)
	return ok && violated == name
}

// ErrorFor is [Error] for a statement whose constraints have a meaning for the caller. table has the error of each
// constraint, by its name; ErrorFor returns a copy with the cause.
//
//	return postgres.ErrorFor(err, map[string]*errs.Error{
//		"campaigns_slug_key": errs.New(errorsv1.ErrorReason_SLUG_TAKEN, "The collective has a campaign of this name."),
//	})
func ErrorFor(err error, table map[string]*errs.Error) error {
	if name, ok := violatedConstraint(err); ok {
		if meaning, listed := table[name]; listed {
			return because(err, meaning)
		}
	}
	return Error(err)
}

func violatedConstraint(err error) (name string, ok bool) {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || !strings.HasPrefix(pgErr.Code, classIntegrity) {
		return "", false
	}
	return pgErr.ConstraintName, true
}

// because returns a copy of e with its cause.
func because(cause error, e *errs.Error) *errs.Error {
	withCause := *e
	withCause.Cause = cause
	return &withCause
}
