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
//	member                          the collective that the request names, if it is his; where it names none, such as
//	                                members/me, all of his; and what is his as a person
//	public, about a collective      that collective
//	public, about none              all: webhooks are proven by their signature, donors' links by their token
func (c *chain) scope(ctx context.Context, method string, req any) context.Context {
	msg, _ := req.(proto.Message)
	return postgres.WithScope(ctx, scopeOf(CallerFrom(ctx).Principal, method, msg))
}

func scopeOf(p access.Principal, method string, req proto.Message) postgres.Scope {
	public, collective := access.IsPublic(method), access.CollectiveOf(method, req)
	switch {
	case p.IsOperator(), public && collective == "":
		return postgres.AllScope()
	case public, p.Sees(collective):
		return postgres.ScopeOf(collective, p.Member)
	case collective == "":
		return postgres.ScopeOf(append(p.Collectives(), p.Member)...)
	}
	return postgres.Scope{}
}
