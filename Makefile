VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PKG     := github.com/gitlab-ecr-executor/gitlab-ecr-executor
COMMIT  := $(shell git describe --always --abbrev=40 --exclude '*' --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X $(PKG)/internal/version.Version=$(VERSION) -X $(PKG)/internal/version.Commit=$(COMMIT)
TOOL    := go tool -modfile=tools/go.mod

.PHONY: help build demo test test-engines test-live check bench docs fuzz test-images clean test-compose e2e

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the driver's static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/ ./cmd/...

test-images: ## make the images that demo and tests use, from Debian packages
	test/images/build

demo: build test-images ## run the examples on an ECR of its own: no AWS account, no Docker Hub
	go run ./test/demo

test: build test-images ## run all tests against the Docker Engine of this machine (or of DOCKER_HOST)
	go test -count=1 ./...

test-engines: test ## the same against a current Docker Engine too (builds it; root)
	test/engine/run $(MAKE) test

test-compose: build test-images ## the tests of deploy/ with the current Docker Compose too (builds it)
	test/compose/run go test -count=1 ./test/deploy

e2e: build test-images ## jobs through the gitlab-runner that is on PATH; fails when there is none
	go run ./test/e2e

check: ## formatting, vet, staticcheck, go.mod, import rules, generated docs
	@unformatted=$$($(TOOL) gofumpt -l cmd internal test); [ -z "$$unformatted" ] || { echo "not gofumpt'ed: $$unformatted"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	go mod tidy -diff
	go test -count=1 ./internal/depcheck
	go run ./internal/settings/gendoc | diff -u docs/configuration.md - || { echo "docs/configuration.md is old: make docs"; exit 1; }
	@if command -v shellcheck >/dev/null; then shellcheck -e SC2016,SC2317 test/images/build test/images/dockerd-rootless test/images/gitlab-runner-helper test/images/iptables test/engine/run test/compose/run .ci/run deploy/lib/*.sh && shellcheck -x -P deploy deploy/register deploy/register-complete; fi

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
	rm -rf bin
