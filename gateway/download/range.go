package download

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	exportsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/exports/v1"
)

const (
	// versionKey is the header metadata that names an export's content, and so its entity tag.
	versionKey = "cagnotte-export-version"
	// sizeKey is that of the whole file's size, when a part was asked for.
	sizeKey = "cagnotte-export-size"
)

// openRange is the form of Range with which downloads continue. Others are ignored, as RFC 9110 (14.2) allows.
var openRange = regexp.MustCompile(`^bytes=([0-9]{1,18})-$`)

// setRange asks for the part of a file that a broken download lacks: `Range: bytes=N-`, of the version in the query or in
// If-Range, which is the ETag of the broken answer. Without a version the range is ignored, since the first N bytes may be
// others now. Conditional: when the version cannot be continued, the answer must be the whole file as it is now
// (https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5).
func setRange(request *exportsv1.ExportLedgerRequest, h http.Header) (conditional bool) {
	found := openRange.FindStringSubmatch(h.Get("Range"))
	if found == nil {
		return false
	}
	offset, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return false
	}
	if condition := h.Get("If-Range"); condition != "" {
		// A weak tag or a date never matches.
		tag, strong := strings.CutPrefix(condition, `"`)
		version, ended := strings.CutSuffix(tag, `"`)
		if !strong || !ended || request.GetVersion() != "" && request.GetVersion() != version {
			return false
		}
		conditional = request.GetVersion() == ""
		request.Version = version
	}
	if request.GetVersion() != "" {
		request.Offset = offset
	}
	return conditional
}

// cannotContinue reports whether the part cannot be answered, so that a conditional request gets the whole file.
func cannotContinue(err error) bool {
	code := status.Code(err)
	return code == codes.FailedPrecondition || code == codes.InvalidArgument
}

// setVersionHeaders sets the headers of the version and of the part, and returns the HTTP status: 200 or 206.
func setVersionHeaders(h http.Header, md metadata.MD, offset int64) int {
	if versions := md.Get(versionKey); len(versions) == 1 {
		h.Set("Accept-Ranges", "bytes")
		h.Set("ETag", `"`+versions[0]+`"`)
	}
	sizes := md.Get(sizeKey)
	if offset == 0 || len(sizes) != 1 {
		return http.StatusOK
	}
	// Both sides are of one program; what is no number gives a range that clients refuse.
	size, _ := strconv.ParseInt(sizes[0], 10, 64)
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	h.Set("Content-Length", strconv.FormatInt(size-offset, 10))
	return http.StatusPartialContent
}
