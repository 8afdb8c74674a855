package postgres

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// scopeParameter is the setting of a connection that the policies of all tables read.
const scopeParameter = "cagnotte.scope"

// everything is the value of the setting that sees all rows. No collective's id has this form.
const everything = "*"

// Scope is whose rows a query may see and write: those of some collectives and of a member, or all. The zero Scope sees
// nothing.
type Scope struct {
	// setting is the value of scopeParameter: ids and names, sorted and separated by commas.
	setting string
}

// AllScope sees the rows of every collective, and those of none. It is for jobs, the start of the program, its commands,
// the operator, and calls about no collective. A query that must know of other collectives to be right, such as whether
// an account is shared, also has it.
func AllScope() Scope { return Scope{everything} }

// ownerForm is a collective's id, or a member's name. Names in requests are not validated yet when a scope is made of them.
var ownerForm = regexp.MustCompile(`^([a-z0-9-]{1,64}|members/[0-9a-f-]{36})$`)

// ScopeOf sees the rows of its owners: collectives, each by its id, and a person, by the name `members/{member}`, whose
// roles, sessions and passkeys are not a collective's. A text of another form is left out.
func ScopeOf(owners ...string) Scope {
	owners = slices.DeleteFunc(slices.Clone(owners), func(owner string) bool { return !ownerForm.MatchString(owner) })
	slices.Sort(owners)
	return Scope{strings.Join(slices.Compact(owners), ",")}
}

type scopeKey struct{}

// WithScope returns a context whose queries have the scope. A transaction keeps the scope of the context that began it.
func WithScope(ctx context.Context, scope Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// wideScopeSQL answers the scope of the transaction and widens it until its end.
const wideScopeSQL = `
SELECT
	coalesce(current_setting('` + scopeParameter + `', true), ''),
	set_config('` + scopeParameter + `', '` + everything + `', true)`

const narrowScopeSQL = `
SELECT set_config('` + scopeParameter + `', @setting, true)`

// SeeAllTx runs read in a transaction that sees all rows meanwhile, whatever its scope. It is for the one look-up that is
// right only so, such as who asked for something where that is not a member of the collective. The scope is restored after
// an error of read too, unless the error aborted the transaction.
func SeeAllTx(ctx context.Context, tx pgx.Tx, read func() error) error {
	var setting, wide string
	if err := tx.QueryRow(ctx, wideScopeSQL).Scan(&setting, &wide); err != nil {
		return Error(err)
	}
	err := read()
	if _, narrowErr := tx.Exec(ctx, narrowScopeSQL, pgx.NamedArgs{"setting": setting}); err == nil {
		err = Error(narrowErr)
	}
	return err
}

const setScopeSQL = `
SELECT set_config('` + scopeParameter + `', @setting, false)`

// prepareScope returns the hook that gives a connection the scope of the context that acquires it, or fallback where that
// has none. A connection that has the scope already costs no round trip. One whose scope is unknown, because setting it
// failed, is closed.
func prepareScope(fallback Scope) func(ctx context.Context, conn *pgx.Conn) (bool, error) {
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		scope, ok := ctx.Value(scopeKey{}).(Scope)
		if !ok {
			scope = fallback
		}
		data := conn.PgConn().CustomData()
		if has, _ := data[scopeParameter].(Scope); has == scope {
			return true, nil
		}
		delete(data, scopeParameter)
		if _, err := conn.Exec(ctx, setScopeSQL, pgx.NamedArgs{"setting": scope.setting}); err != nil {
			return false, Error(err)
		}
		data[scopeParameter] = scope
		return true, nil
	}
}
