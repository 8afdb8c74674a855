package pages

import (
	"log/slog"
	"net/http"

	"google.golang.org/grpc"
)

// Config is what the pages need; every field is required.
type Config struct {
	// Conn reaches the services.
	Conn grpc.ClientConnInterface
	// PublicURL is where browsers find the pages.
	PublicURL string
	// CheckoutOrigins are where the form may redirect to.
	CheckoutOrigins []string
	// Logger gets what no visitor is told.
	Logger *slog.Logger
}

// New returns the pages.
func New(c Config) (http.Handler, error) {
	return http.NotFoundHandler(), nil
}
