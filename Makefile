# `make help` lists the targets. Tools are pinned in .tools/go.mod and built on first use.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TOOL := go tool -modfile=.tools/go.mod
# The modules that carry the imported protos: google/api, and buf/validate.
GOOGLEAPIS := github.com/grpc-ecosystem/grpc-gateway@v1.16.0
PROTOVALIDATE := github.com/bufbuild/protovalidate@v1.2.2
module_dir = $$(go mod download -json $(1) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r t d; do printf '  make %-10s %s\n' "$$t" "$$d"; done

.PHONY: protos
protos:
	@rm -rf .tools/third_party && mkdir -p .tools/third_party/google/api .tools/third_party/buf/validate
	@cp $(call module_dir,$(GOOGLEAPIS))/third_party/googleapis/google/api/{annotations,http,httpbody}.proto .tools/third_party/google/api/
	@cp $(call module_dir,$(PROTOVALIDATE))/proto/protovalidate/buf/validate/validate.proto .tools/third_party/buf/validate/
	@chmod -R u+w .tools/third_party

.PHONY: generate
generate: protos ## generate Go, gateway and OpenAPI from the protos
	$(TOOL) buf format -w proto
	$(TOOL) buf generate --template .tools/buf.gen.yaml
