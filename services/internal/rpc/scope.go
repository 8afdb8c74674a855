package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// scope is step 11: whose rows the call may see. It does not trust the permission table, so that a mistake there or in a
// service shows a caller nothing of another collective: the database hides it.
//
//	operator, any method            all
//	member                          the collective that the request names, if it is his; where it names none, all of his
//	public, about a collective      that collective
//	public, about none              all: webhooks are proven by their signature, donors' links by their token
func (c *chain) scope(ctx context.Context, method string, req any) context.Context {
	msg, _ := req.(proto.Message)
	return postgres.WithScope(ctx, scopeOf(CallerFrom(ctx).Principal, method, msg))
}

func scopeOf(p access.Principal, method string, req proto.Message) postgres.Scope {
	collective, named := access.CollectiveOf(method, req)
	switch {
	case p.IsOperator():
		return postgres.AllScope()
	case access.IsPublic(method) && collective == "":
		return postgres.AllScope()
	case access.IsPublic(method):
		return postgres.ScopeOf(collective)
	case named && !p.Sees(collective):
		return postgres.Scope{}
	case named:
		return postgres.ScopeOf(collective)
	}
	return postgres.ScopeOf(p.Collectives()...)
}
