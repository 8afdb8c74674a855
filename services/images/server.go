package images

import (
	"context"
	"strings"

	imagesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/images/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/page"
	"github.com/cagnotte/cagnotte/services/internal/rpc"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

type server struct {
	imagesv1.UnimplementedImagesServiceServer
	service *Service
}

// NewServer returns the service as gRPC.
func NewServer(s *Service) imagesv1.ImagesServiceServer { return &server{service: s} }

// CreateImage ignores the output-only fields of the image that is sent.
func (s *server) CreateImage(ctx context.Context, req *imagesv1.CreateImageRequest) (*imagesv1.Image, error) {
	if len(req.GetImage().GetContent()) == 0 {
		return nil, errs.Invalid("image.content", "is required")
	}
	i, err := s.service.Create(ctx, strings.TrimPrefix(req.GetParent(), "collectives/"), req.GetImage().GetContent())
	if err != nil {
		return nil, err
	}
	return toProto(i), nil
}

// GetImage answers NOT_FOUND for an image that is not public and of whose collective the caller is no member.
func (s *server) GetImage(ctx context.Context, req *imagesv1.GetImageRequest) (*imagesv1.Image, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	i, err := s.service.Get(ctx, collective, id, isMember(ctx, collective))
	if err != nil {
		return nil, err
	}
	return toProto(i), nil
}

func (s *server) ListImages(ctx context.Context, req *imagesv1.ListImagesRequest) (*imagesv1.ListImagesResponse, error) {
	collective := strings.TrimPrefix(req.GetParent(), "collectives/")
	found, next, err := page.List(req, req.GetParent()+"/images", newest, func(before position, count int) ([]Image, error) {
		return s.service.list(ctx, collective, before, count)
	}, func(i Image) position { return position{i.CreateTime, i.ID} })
	if err != nil {
		return nil, err
	}
	resp := &imagesv1.ListImagesResponse{NextPageToken: next}
	for _, i := range found {
		resp.Images = append(resp.Images, toProto(i))
	}
	return resp, nil
}

// GetImageContent answers as GetImage does.
func (s *server) GetImageContent(ctx context.Context, req *imagesv1.GetImageContentRequest) (*imagesv1.ImageContent, error) {
	collective, id, err := parseName(req.GetName())
	if err != nil {
		return nil, err
	}
	c, err := s.service.Content(ctx, collective, id, req.GetWidth(), isMember(ctx, collective))
	if err != nil {
		return nil, err
	}
	return &imagesv1.ImageContent{ContentType: c.ContentType, Content: c.Body}, nil
}

// parseName reads `collectives/{collective}/images/{image}`.
func parseName(name string) (collective, id string, err error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "collectives" || parts[2] != "images" {
		return "", "", errs.NotFound(name)
	}
	return parts[1], parts[3], nil
}

// isMember reports whether the caller sees the images that are not public.
func isMember(ctx context.Context, collective string) bool {
	return rpc.CallerFrom(ctx).Principal.Sees(collective)
}

func toProto(i Image) *imagesv1.Image {
	return &imagesv1.Image{
		Name:       i.Name(),
		Widths:     i.Widths,
		Width:      int32(i.Width),
		Height:     int32(i.Height),
		CreateTime: wire.Time(i.CreateTime),
	}
}
