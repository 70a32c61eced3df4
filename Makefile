VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PKG     := github.com/gitlab-ecr-executor/gitlab-ecr-executor
COMMIT  := $(shell git describe --always --abbrev=40 --exclude '*' --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X $(PKG)/internal/version.Version=$(VERSION) -X $(PKG)/internal/version.Commit=$(COMMIT)
BUILD   := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"
TOOL    := go tool -modfile=tools/go.mod

.PHONY: help build demo test test-engines test-live check bench docs fuzz test-images clean test-compose e2e dist dist-test credential-helpers image

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the driver's static binaries into bin/
	$(BUILD) -o bin/ ./cmd/...

# SOURCE_DATE_EPOCH: the time of all files, that of the commit.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

dist: ## archives, .deb, .rpm, SBOMs and checksums into dist/, for amd64 and arm64; reproducible
	rm -rf dist/linux_* dist/gitlab-ecr-executor* dist/checksums.txt
	GOOS=linux GOARCH=amd64 $(BUILD) -o dist/linux_amd64/ ./cmd/...
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/linux_arm64/ ./cmd/...
	VERSION=$(VERSION) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) deploy/package/build

test-images: ## make the images that demo and tests use, from Debian packages
	test/images/build

dist-test: test-images ## check what dist, credential-helpers and image make
	DIST_TEST=1 go test -count=1 -v ./test/dist

HELPER := github.com/awslabs/amazon-ecr-credential-helper/ecr-login

credential-helpers: ## Amazon's docker-credential-ecr-login, static, into dist/: for a docker executor beside this driver
	mkdir -p dist
	cd tools/credential-helper && version=$$(go list -m -f '{{.Version}}' $(HELPER)) && for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=false \
			-ldflags "-s -w -X $(HELPER)/version.Version=$${version#v}" \
			-o ../../dist/docker-credential-ecr-login-linux-$$arch $(HELPER)/cli/docker-credential-ecr-login || exit; \
	done

image: ## image of the driver on BASE (gitlab/gitlab-runner:alpine-v...@sha256:...), for this machine's engine: make dist first
	docker build --tag $(IMAGE) --file deploy/Dockerfile.release --build-arg BASE=$(BASE) --build-arg TARGETARCH=$(shell go env GOARCH) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(COMMIT) $(IMAGE_ARGS) dist
IMAGE ?= gitlab-ecr-executor:$(VERSION)

demo: build test-images ## run the examples on an ECR of its own: no AWS account, no Docker Hub
	go run ./test/demo

test: build test-images ## run all tests against the Docker Engine of this machine (or of DOCKER_HOST)
	go test -count=1 -p 1 ./...

test-engines: test ## the same against a current Docker Engine too (builds it; root)
	test/engine/run $(MAKE) test

test-compose: build test-images ## the tests of deploy/ with the current Docker Compose too (builds it)
	test/compose/run go test -count=1 ./test/deploy

e2e: build test-images ## jobs through the gitlab-runner that is on PATH; fails when there is none
	go run ./test/e2e

check: ## formatting, vet, staticcheck, go.mod, import rules, generated docs
	@unformatted=$$($(TOOL) gofumpt -l cmd internal test tools); [ -z "$$unformatted" ] || { echo "not gofumpt'ed: $$unformatted"; exit 1; }
	go vet ./...
	cd tools && go vet ./...
	$(TOOL) staticcheck ./...
	go mod tidy -diff
	go test -count=1 ./internal/depcheck
	go run ./internal/settings/gendoc | diff -u docs/configuration.md - || { echo "docs/configuration.md is old: make docs"; exit 1; }
	@if command -v shellcheck >/dev/null; then shellcheck -e SC2016,SC2317 test/images/build test/images/dockerd-rootless test/images/gitlab-runner-helper test/images/iptables test/engine/run test/compose/run .ci/run deploy/lib/*.sh deploy/package/build deploy/package/reload && shellcheck -x -P deploy deploy/register deploy/register-complete; fi

test-live: build ## the same against a real AWS account: see test/live/live_test.go
	go test -count=1 -tags live -v ./test/live

bench: build test-images ## time, engine calls and memory of a job that does nothing; a DinD job
	go run ./test/bench

docs: ## write the settings reference anew
	go run ./internal/settings/gendoc > docs/configuration.md

fuzz: ## fuzz hosts, images and Docker configs, a minute each
	go test -run '^$$' -fuzz FuzzImage -fuzztime 60s ./internal/plan
	go test -run '^$$' -fuzz FuzzParseHost -fuzztime 60s ./internal/ecrauth
	go test -run '^$$' -fuzz FuzzHosts -fuzztime 60s ./internal/registryauth
	go test -run '^$$' -fuzz FuzzInject -fuzztime 60s ./internal/registryauth

clean: ## remove what was built
	rm -rf bin dist
