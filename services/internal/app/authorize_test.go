package app

import (
	"google.golang.org/protobuf/proto"

	"github.com/cagnotte/cagnotte/services/access"
)

// WithAuthorize replaces the permission table. It is for tests alone, as this file is.
func WithAuthorize(cfg *Config, authorize func(p access.Principal, method string, req proto.Message) error) {
	cfg.authorize = authorize
}
