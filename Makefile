# `make help` lists the targets. Tools are pinned in .tools/go.mod and built on first use.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TOOL := go tool -modfile=.tools/go.mod
# The modules that carry the imported protos: google/api, google/rpc, and buf/validate.
GOOGLEAPIS := github.com/grpc-ecosystem/grpc-gateway@v1.16.0
PROTOVALIDATE := github.com/bufbuild/protovalidate@v1.2.2
module_dir = $$(go mod download -json $(1) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')

# Go, npm and the browser keep files under HOME. Where there is none to write into, they get one here.
ifneq ($(shell test -d "$${HOME:-}" -a -w "$${HOME:-}" && echo yes),yes)
export HOME := $(CURDIR)/.dev/home
export GOFLAGS := $(GOFLAGS) -modcacherw
$(shell mkdir -p "$(HOME)")
endif

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r t d; do printf '  make %-10s %s\n' "$$t" "$$d"; done

.PHONY: protos
protos:
	@rm -rf .tools/third_party && mkdir -p .tools/third_party/google/{api,rpc} .tools/third_party/buf/validate
	@cp $(call module_dir,$(GOOGLEAPIS))/third_party/googleapis/google/api/{annotations,http,httpbody}.proto .tools/third_party/google/api/
	@cp $(call module_dir,$(GOOGLEAPIS))/third_party/googleapis/google/rpc/code.proto .tools/third_party/google/rpc/
	@cp $(call module_dir,$(PROTOVALIDATE))/proto/protovalidate/buf/validate/validate.proto .tools/third_party/buf/validate/
	@chmod -R u+w .tools/third_party

.PHONY: generate
generate: protos ## generate Go, gateway and OpenAPI from the protos
	$(TOOL) buf format -w proto
	$(TOOL) buf generate --template .tools/buf.gen.yaml
	$(TOOL) buf build proto --as-file-descriptor-set --exclude-imports -o gateway/reference/contract.binpb.gz

.PHONY: age
age: ## make the console's script for keys of tax receipts from age's library, and record what it was made of
	cd gateway/console/age && npm ci --no-audit --no-fund && npm run --silent build && sha256sum source.mjs package-lock.json age.js >SHA256SUMS

.PHONY: build
build: ## build the program into .dev/bin
	CGO_ENABLED=0 go build -trimpath -o .dev/bin/ ./services/cmd/cagnotte

.PHONY: run
run: ## start the demo: private Postgres, simulated Stripe, service, a collective's own site
	@echo 'Building the demo. The first time this takes a minute or more; later, a few seconds.'
	@go build -buildvcs=false -o .dev/bin/ ./services/cmd/cagnotte-dev
	@echo 'Starting it. The first time its database is filled with some months of donations, which takes another minute.'
	@exec .dev/bin/cagnotte-dev

.PHONY: screenshots
screenshots: programs ## take pictures of a demo: the README's, the guide's, and each page and state of the console (PARTS=console)
	@go build -buildvcs=false -o .dev/bin/ ./services/cmd/cagnotte-dev
	@.tools/screenshots $(PARTS)

.PHONY: clean
clean: ## forget the demo's data and what was built
	@go run -buildvcs=false ./services/cmd/cagnotte-dev forget
	@rm -rf .dev .tools/third_party gateway/e2e/node_modules

# A program that a test would need after ten minutes is asked for before the first test. Go and npm download the rest,
# without root.
.PHONY: programs
programs: ## install the programs that the tests run (as root on Debian), or print the command that does
	@.tools/need node npm chromium hledger bean-check promtool
	@$(TOOL) -n stripe-mock >/dev/null

.PHONY: breaking
breaking: ## compare the contract with the last commit that landed, or with BASE
	@.tools/breaking

.PHONY: test
test: programs breaking ## run all tests, browser included; as root on Debian, Go and Postgres are enough
	go test -shuffle=on -timeout 30m ./...

.PHONY: race
race: programs ## run all tests but the browser's under the race detector
	go test -race -shuffle=on -timeout 40m $$(go list ./... | grep -v /app/e2e)

SEEDS ?= 1-5000
.PHONY: chaos
chaos: ## play random histories with everything going wrong, as in SEEDS=1-5000 or SEEDS=17
	go test -timeout 24h ./services/internal/app/chaos -seeds $(SEEDS)

# One package after the other: they share the machine with the Postgres that they measure.
BENCH := go test -p 1 -run '^$$' -timeout 15m
.PHONY: bench
bench: ## measure, each figure against a limit of the same run and its bar; writes bench.txt
	{ $(BENCH) -bench 'Post|Seal$$' -benchtime 3x ./services/ledger; \
		$(BENCH) -bench Balance -benchtime 3x ./services/ledger; \
		$(BENCH) -bench 'CSV|Formats' -benchtime 3x ./services/exports; \
		$(BENCH) -bench . $$(go list ./services/... ./gateway/... | grep -v -e /ledger$$ -e /exports$$ -e /e2e); \
	} | tee /dev/stderr | awk -f .tools/bench.awk >bench.txt
	@cat bench.txt

.PHONY: lint
lint: ## vet, staticcheck, gofumpt
	go vet ./...
	$(TOOL) staticcheck ./...
	@files=$$($(TOOL) gofumpt -l $$(git ls-files '*.go' | grep -v '\.pb\.')); \
		if [ -n "$$files" ]; then echo "gofumpt would change:"; echo "$$files"; exit 1; fi

.PHONY: verify
verify: generate breaking ## check that generated code is current, lint the protos
	@git diff --exit-code --stat -- proto gateway/openapi.swagger.json gateway/reference/contract.binpb.gz || { echo "generated code was not current; commit what make generate wrote"; exit 1; }
	$(TOOL) buf lint
