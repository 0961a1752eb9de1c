# Platen. `make help` lists the targets; every one works from a clean clone.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED ?= 0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X github.com/platen-scan/platen/internal/version.release=$(VERSION)
WEB_SRC  := $(wildcard $(shell git ls-files -co --exclude-standard web 2>/dev/null | grep -v '^web/e2e/' || find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*'))
GO_SRC   := $(wildcard $(shell git ls-files -co --exclude-standard '*.go' go.mod go.sum proto/openapi.yaml 2>/dev/null || find . -name '*.go'))

# What the tests need beside Go and Node (Debian package names).
TEST_PACKAGES := libsane1 libsane-common sane-utils libjpeg62-turbo chromium qpdf poppler-utils openssl \
                 iproute2 iptables libnss3-tools gcc libc6-dev procps curl \
                 avahi-daemon avahi-utils dbus python3-zeroconf sane-airscan util-linux conntrack firefox-esr \
                 tesseract-ocr tesseract-ocr-eng tesseract-ocr-osd

.PHONY: help run build test check lint bench roads scale ledger fuzz generate clean deps unit web-test web-browser e2e

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

run: build ## build everything, start local mode with the virtual scanner, print the URL
	bin/platen

build: bin/platen bin/platen-driver ## build bin/platen and bin/platen-driver

bin/platen: web/app/dist/index.html $(GO_SRC)
	go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/platen

bin/platen-driver: $(GO_SRC)
	go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/platen-driver

web/node_modules/.installed: web/package-lock.json
	npm ci --prefix web --no-audit --no-fund
	touch $@

web/app/dist/index.html: web/node_modules/.installed $(WEB_SRC)
	npm run build --prefix web --silent

test: deps check unit web-test e2e ## install what the tests need and run all of them
	@echo "all tests passed"

deps: ; @$(call install,$(TEST_PACKAGES))

# install PACKAGES: those that the machine lacks, by apt.
define install
missing=; for p in $(1); do \
  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok installed' || missing="$$missing $$p"; done; \
if [ -n "$$missing" ]; then echo "installing:$$missing"; \
  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get update -qq; \
  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

unit: build ## Go tests of every package, with the race detector where it pays
	raced=$$(go list $(RACE_PACKAGES) | grep -v $(RACELESS)); \
	go test $$(go list ./... | grep -vxF "$$raced") && CGO_ENABLED=1 go test -race -timeout 20m $$raced

RACE_PACKAGES := ./node/... ./gateway/... ./relay/... ./discovery/... ./internal/access/... ./internal/license/...
# Long sums over pixels, in one goroutine.
RACELESS := -e /node/barcode -e /node/driver/pdfium

web-test: web/node_modules/.installed ## tests of the SDK and the web app
	npm test --prefix web --silent

web-browser: build ## every screen of the app in Chromium, on five sizes and in both languages (4 minutes)
	npm run test:browser --prefix web --silent

e2e: build ## whole system: processes, network namespaces, SANE, Chromium (as root)
	sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -E env PATH=$$PATH"; \
	$$sudo go test -tags e2e -count 1 -timeout 30m ./internal/e2e/...

check: lint ## formatting, vet, static checks, generated code is current
	@stale=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$stale" ] || { echo "gofmt: $$stale"; exit 1; }
	@out=$$(mktemp -d); trap 'rm -r "$$out"' EXIT; for target in linux/arm64 darwin/arm64; do \
	  GOOS=$${target%/*} GOARCH=$${target#*/} go build -o "$$out" ./cmd/... || { echo "does not build for $$target"; exit 1; }; done
	@sum() { cat proto/api/api.gen.go web/sdk/src/api.gen.ts | sha256sum; }; \
	before=$$(sum); $(MAKE) -s generate; [ "$$before" = "$$(sum)" ] || { echo "generated code was stale; it is current now: commit it"; exit 1; }

lint: web/node_modules/.installed ## go vet, staticcheck, TypeScript
	go vet ./... && go vet -tags e2e ./internal/e2e/... && go vet -tags bench,scale ./internal/bench
	go tool staticcheck ./...
	npm run check --prefix web --silent

generate: web/node_modules/.installed ## Go and TypeScript types from proto/openapi.yaml
	go generate ./proto/...
	npm run generate --prefix web --silent

PART ?= .
bench: build ## the benchmarks of docs/benchmarks.md, all sides interleaved in one run; PART=relaying for that part alone
	@$(call install,$(TEST_PACKAGES) gcc libc6-dev libsane-dev)
	go test -tags bench -count 1 -timeout 60m -v -run '^TestBenchmarks$$/$(PART)' ./internal/bench -args -out $(CURDIR)/docs/benchmarks.md

roads: build ## each direct road and the relay cut in mid-page fifty times (as root, 15 minutes)
	sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -E env PATH=$$PATH"; \
	$$sudo go test -tags e2e -count 1 -timeout 40m -run '^TestRoads$$' -v ./internal/e2e -rounds 50

ledger: ## 100,000 pages counted while either end is killed at random, in the page store and in the ledger alone (an hour)
	dir=$$(mktemp -d); trap 'rm -r "$$dir"' EXIT; \
	go test ./internal/license/ledger -count 1 -timeout 60m -v -run '^TestCrashes$$' -args -crash.pages 100000 -crash.state "$$dir"
	go test ./node/reporting -count 1 -timeout 120m -v -run '^TestKilledEnds$$' -args -crash.pages 100000

scale: build ## how many nodes a gateway carries, and how soon they are back: docs/scale.md (20 minutes)
	go test -tags scale -count 1 -timeout 60m -v -run '^TestScale$$' ./internal/bench -args -out $(CURDIR)/docs/scale.md

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME (20s)
	@grep -rlE '^func Fuzz' --include=*_test.go . | while read -r file; do \
	  grep -oE '^func Fuzz[A-Za-z0-9_]+' $$file | sed 's/func //' | while read -r name; do \
	    echo "$$name in $$(dirname $$file)"; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x ./$$(dirname $$file); done; done

clean: ## remove what the build made
	rm -rf bin web/node_modules web/app/dist/* coverage
	go clean -testcache
