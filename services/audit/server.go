package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/cagnotte/cagnotte/proto/cagnotte/audit/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	auditv1.UnimplementedAuditServiceServer
	service *Service
}

// NewServer returns the audit log as gRPC.
func NewServer(s *Service) auditv1.AuditServiceServer { return &server{service: s} }

func (s *server) GetAuditEntry(ctx context.Context, req *auditv1.GetAuditEntryRequest) (*auditv1.AuditEntry, error) {
	collective, id, ok := parseName(req.GetName())
	if !ok {
		return nil, errs.NotFound(req.GetName())
	}
	e, err := s.service.get(ctx, collective, id)
	if err != nil {
		return nil, err
	}
	return toProto(ctx, e), nil
}

func (s *server) ListAuditEntries(ctx context.Context, req *auditv1.ListAuditEntriesRequest) (*auditv1.ListAuditEntriesResponse, error) {
	f, err := filterOf(ctx, req)
	if err != nil {
		return nil, err
	}
	found, next, err := page.List(req, f, newest, func(after position, count int) ([]Entry, error) {
		return s.service.list(ctx, f, after, count)
	}, func(e Entry) position { return position{e.CreateTime, e.ID} })
	if err != nil {
		return nil, err
	}
	resp := &auditv1.ListAuditEntriesResponse{NextPageToken: next}
	for _, e := range found {
		resp.AuditEntries = append(resp.AuditEntries, toProto(ctx, e))
	}
	return resp, nil
}

// ExportAuditEntries names the file in header metadata, which the gateway passes on.
func (s *server) ExportAuditEntries(req *auditv1.ExportAuditEntriesRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	ctx := stream.Context()
	f, err := filterOf(ctx, req)
	if err != nil {
		return err
	}
	suffix, contentType, head := "csv", "text/csv; charset=utf-8; header=present", csvHeader
	line := func(b []byte, e Entry) ([]byte, error) { return appendCSV(b, lineOf(toProto(ctx, e))), nil }
	if req.GetFormat() == "JSONL" {
		suffix, contentType, head = "jsonl", "application/jsonl; charset=utf-8", ""
		line = func(b []byte, e Entry) ([]byte, error) {
			b, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.MarshalAppend(b, toProto(ctx, e))
			return append(b, '\n'), err
		}
	}
	of := f.Collective
	if of == "" {
		of = instance
	}
	md := metadata.Pairs("content-disposition", fmt.Sprintf("attachment; filename=%q", of+".audit."+suffix))
	if err := stream.SetHeader(md); err != nil {
		return err
	}
	return s.service.export(ctx, f, chunkWriter{stream, contentType}, head, line)
}

// chunkWriter sends each write as a message.
type chunkWriter struct {
	stream      grpc.ServerStreamingServer[httpbody.HttpBody]
	contentType string
}

// Write keeps b, because gRPC may look at a message after Send has returned: export gives it a copy.
func (w chunkWriter) Write(b []byte) (int, error) {
	if err := w.stream.Send(&httpbody.HttpBody{ContentType: w.contentType, Data: b}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// filtered is what both requests ask for.
type filtered interface {
	GetParent() string
	GetActor() string
	GetMethod() string
	GetResource() string
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
	GetIncludeCollectives() bool
}

func filterOf(ctx context.Context, req filtered) (f filter, err error) {
	f = filter{
		Actor: req.GetActor(), Method: req.GetMethod(), Resource: req.GetResource(), All: req.GetIncludeCollectives(),
		HideOperator: !access.PrincipalFrom(ctx).IsOperator(),
	}
	var ok bool
	if f.Collective, ok = parseParent(req.GetParent()); !ok {
		return filter{}, errs.NotFound(req.GetParent())
	}
	if f.Collective != "" && f.All {
		return filter{}, errs.Invalid("include_collectives", "must be false for one collective's entries")
	}
	if f.Start, err = wire.Instant("start_time", req.GetStartTime()); err != nil {
		return filter{}, err
	}
	if f.End, err = wire.Instant("end_time", req.GetEndTime()); err != nil {
		return filter{}, err
	}
	if !f.Start.IsZero() && !f.End.IsZero() && f.End.Before(f.Start) {
		return filter{}, errs.Invalid("end_time", "must not be before start_time")
	}
	return f, nil
}

func toProto(ctx context.Context, e Entry) *auditv1.AuditEntry {
	p := &auditv1.AuditEntry{
		Name:       e.Name(),
		CreateTime: wire.Time(e.CreateTime),
		ByOperator: e.Role == string(access.RoleOperator) || e.Actor == "",
		Method:     e.Method,
		Resource:   e.Resource,
		RequestId:  e.RequestID,
		Number:     e.Number,
	}
	// The operator's members and keys are for the operator to see.
	if !p.GetByOperator() || access.PrincipalFrom(ctx).IsOperator() {
		p.Actor, p.ActorDisplayName, p.Member, p.Credential = e.Actor, e.ActorDisplayName, e.Member, e.Credential
	}
	for _, field := range slices.Sorted(maps.Keys(union(e.Before, e.After))) {
		p.Changes = append(p.Changes, &auditv1.FieldChange{Field: field, Before: e.Before[field], After: e.After[field]})
	}
	return p
}

// lineOf has the columns of csvHeader.
func lineOf(e *auditv1.AuditEntry) csvLine {
	l := csvLine{columns: []string{
		e.GetCreateTime().AsTime().Format(time.RFC3339Nano), e.GetName(), scopeOf(e.GetName()), e.GetActor(), e.GetActorDisplayName(),
		strconv.FormatBool(e.GetByOperator()), e.GetMethod(), e.GetResource(), e.GetRequestId(),
	}}
	for _, c := range e.GetChanges() {
		l.fields = append(l.fields, [3]string{c.GetField(), c.GetBefore(), c.GetAfter()})
	}
	return l
}

// scopeOf is the collective of an entry's name, or `instance`.
func scopeOf(name string) string {
	collective, _, _ := parseName(name)
	return parentName(collective)
}
