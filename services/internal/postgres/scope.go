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

// Scope is whose rows a query may see and write: those of some collectives, or all. The zero Scope sees nothing.
type Scope struct {
	// setting is the value of scopeParameter: the ids, sorted and separated by commas.
	setting string
}

// AllScope sees the rows of every collective, and those of none. It is for jobs, the start of the program, its commands,
// the operator, and calls about no collective. A query that must know of other collectives to be right, such as whether
// an account is shared, also has it.
func AllScope() Scope { return Scope{everything} }

// scopeID is the form of a collective's id. Names in requests are not validated yet when a scope is made of them.
var scopeID = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// ScopeOf sees the rows of the collectives with these ids. A text that cannot be an id is left out.
func ScopeOf(collectives ...string) Scope {
	ids := slices.DeleteFunc(slices.Clone(collectives), func(id string) bool { return !scopeID.MatchString(id) })
	slices.Sort(ids)
	return Scope{strings.Join(slices.Compact(ids), ",")}
}

type scopeKey struct{}

// WithScope returns a context whose queries have the scope. A transaction keeps the scope of the context that began it.
func WithScope(ctx context.Context, scope Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
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
