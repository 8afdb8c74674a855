package errorsv1

import (
	"embed"
	"encoding/json"
	"fmt"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"golang.org/x/text/language"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// Domain is the domain of an ErrorInfo whose reason is an [ErrorReason].
const Domain = "cagnotte"

// Code returns the gRPC code that the contract gives the reason: UNKNOWN for a number that is no reason.
func (r ErrorReason) Code() codes.Code {
	value := r.Descriptor().Values().ByNumber(r.Number())
	if value == nil {
		return codes.Unknown
	}
	return codes.Code(proto.GetExtension(value.Options(), E_Code).(code.Code))
}

// HTTPStatus returns the HTTP status that REST answers for the reason.
func (r ErrorReason) HTTPStatus() int {
	if value := r.Descriptor().Values().ByNumber(r.Number()); value != nil {
		if status := proto.GetExtension(value.Options(), E_HttpStatus).(int32); status != 0 {
			return int(status)
		}
	}
	return runtime.HTTPStatusFromCode(r.Code())
}

// ReasonOf returns the reason of a name, as an ErrorInfo has it; ERROR_REASON_UNSPECIFIED for any other text.
func ReasonOf(name string) ErrorReason { return ErrorReason(ErrorReason_value[name]) }

// Text returns a sentence for people in the best of our languages for an Accept-Language header, and that language as
// a BCP 47 tag. Without a header, or for languages that we do not have, it is English. The text is empty for
// ERROR_REASON_UNSPECIFIED.
func (r ErrorReason) Text(acceptLanguage string) (text, tag string) {
	i := best(acceptLanguage)
	return texts[i][r.String()], tags[i].String()
}

// Language returns the best of our languages for an Accept-Language header, as Text chooses it.
func Language(acceptLanguage string) (tag string) { return tags[best(acceptLanguage)].String() }

// best is the place of a language in tags.
func best(acceptLanguage string) (i int) {
	if acceptLanguage != "" && len(acceptLanguage) <= maxAcceptLanguage {
		if wanted, _, err := language.ParseAcceptLanguage(acceptLanguage); err == nil {
			_, i, _ = matcher.Match(wanted...)
		}
	}
	return i
}

// maxAcceptLanguage is more than any browser sends.
const maxAcceptLanguage = 500

//go:embed strings.*.json
var catalogues embed.FS

var (
	// tags are our languages, each with its catalogue; the first is for callers who want none of them.
	tags = []language.Tag{
		language.English,
		language.French,
		language.Spanish,
		language.German,
		language.Make("oc"),
		language.Make("br"),
	}
	matcher = language.NewMatcher(tags)
	// texts has the sentences of each language, by the names of the reasons.
	texts = readAll(tags)
)

func readAll(tags []language.Tag) (all []map[string]string) {
	for _, tag := range tags {
		all = append(all, catalogue(tag.String()))
	}
	return all
}

// catalogue panics on a broken file, which is part of the program.
func catalogue(tag string) (sentences map[string]string) {
	raw, err := catalogues.ReadFile("strings." + tag + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &sentences)
	}
	if err != nil {
		panic(fmt.Sprintf("errorsv1: strings.%s.json: %v", tag, err))
	}
	return sentences
}
