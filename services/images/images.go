package images

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	// maxImages is how many a collective may have.
	maxImages = 100
	// unnamedFor is how long an image stays that nothing names.
	unnamedFor = 24 * time.Hour
)

// Image is a picture of a collective's.
type Image struct {
	// Collective and ID identify it. ID is a SHA-256 in hexadecimal digits.
	Collective, ID string
	// Width and Height are those of the largest variant, in pixels.
	Width, Height int
	// Widths are those of the variants, ascending.
	Widths []int32
	// CreateTime is when it was stored, or sent again.
	CreateTime time.Time
}

// Name returns the resource name, `collectives/{collective}/images/{image}`.
func (i Image) Name() string { return "collectives/" + i.Collective + "/images/" + i.ID }

// Content is the file of one variant.
type Content struct {
	// ContentType is image/jpeg or image/png.
	ContentType string
	// Body is the file.
	Body []byte
}

// Config is what a Service needs.
type Config struct {
	// Pool is the database. It is required.
	Pool *pgxpool.Pool
	// Now tells the time; time.Now when nil.
	Now func() time.Time
}

// Service keeps the images. It is safe for concurrent use.
type Service struct {
	pool *pgxpool.Pool
	now  func() time.Time
	// decoding has one place: a picture takes up to some hundred megabytes while it is decoded.
	decoding chan struct{}
}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{pool: c.Pool, now: c.Now, decoding: make(chan struct{}, 1)}
}

// Create stores the picture of a file. The same picture again is the image that exists. Errors: INVALID_ARGUMENT:
// IMAGE_UNREADABLE, IMAGE_TOO_LARGE; FAILED_PRECONDITION: TOO_MANY_IMAGES; NOT_FOUND for a missing collective.
func (s *Service) Create(ctx context.Context, collective string, file []byte) (Image, error) {
	id, variants, err := s.read(ctx, file)
	if err != nil {
		return Image{}, err
	}
	if err := s.removeUnnamed(ctx, collective); err != nil {
		return Image{}, err
	}
	return s.insert(ctx, collective, id, variants)
}

// read decodes and encodes. It waits while another picture is read.
func (s *Service) read(ctx context.Context, file []byte) (id string, variants []variant, err error) {
	select {
	case s.decoding <- struct{}{}:
	case <-ctx.Done():
		return "", nil, errs.New(errorsv1.ErrorReason_CANCELED, "The call ended before the picture was read.")
	}
	defer func() { <-s.decoding }()
	p, err := decode(file)
	if err != nil {
		return "", nil, err
	}
	return encode(p)
}

// nowMicros is the time at Postgres' precision, so that a write answers what is read later.
func (s *Service) nowMicros() time.Time { return s.now().UTC().Truncate(time.Microsecond) }
