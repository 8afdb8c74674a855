package gateway

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestEveryRouteKnowsItsParameters holds what the gateway takes against the contract: a route that it does not know
// answers 400 to every query, and one that it knows too widely ignores what it is asked.
func TestEveryRouteKnowsItsParameters(t *testing.T) {
	p, err := newParameters()
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In, Pattern string }
		}
	}
	if err := json.Unmarshal(openAPI, &contract); err != nil {
		t.Fatal(err)
	}
	if len(contract.Paths) < 50 {
		t.Fatalf("the contract has %d paths", len(contract.Paths))
	}
	suffix := regexp.MustCompile(`_[0-9]+$`)
	checked := map[string]bool{}
	for path, operations := range contract.Paths {
		for verb, operation := range operations {
			template, want := path, []protoreflect.Name{}
			if verb == "patch" {
				// Made of the body when it is not said, so that the generator leaves it out.
				want = append(want, "update_mask")
			}
			for _, parameter := range operation.Parameters {
				switch parameter.In {
				case "path":
					// "{name_3}" of pattern "collectives/[^/]+" is "{name=collectives/*}" in the proto.
					field := suffix.ReplaceAllString(parameter.Name, "")
					pattern := strings.ReplaceAll(parameter.Pattern, "[^/]+", "*")
					template = strings.Replace(template, "{"+parameter.Name+"}", "{"+field+"="+pattern+"}", 1)
				case "query":
					field, _, _ := strings.Cut(parameter.Name, ".")
					if !slices.Contains(want, protoreflect.Name(field)) {
						want = append(want, protoreflect.Name(field))
					}
				}
			}
			route := strings.ToUpper(verb) + " " + template
			got, ok := p[route]
			if !ok {
				t.Errorf("%s (%s) is not known", route, operation.OperationID)
				continue
			}
			checked[route] = true
			slices.Sort(want)
			got = slices.Sorted(slices.Values(got))
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				t.Errorf("%s (-contract +gateway):\n%s", route, diff)
			}
		}
	}
	for route := range p {
		if !checked[route] {
			t.Errorf("%s is in no contract", route)
		}
	}
}
