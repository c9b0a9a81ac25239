# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Each target does the set-up that it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false
export PATH := $(CURDIR)/.bin:$(PATH)
export SEAFRONT_BIN := $(CURDIR)/.bin
export SEAFRONT_PROGRAMS := $(CURDIR)/.build/bin
BIN := .bin
PROGRAMS := .build/bin
VERSION ?= dev
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL := cd tools && GOWORK=off go build -o ../$(BIN)/
GENERATORS := $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc
MODULES := . proto test
# Arguments for `make up`, for example UP="--data /tmp/sea --log-level debug".
UP ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

.PHONY: up
up: $(BIN)/grpcurl programs ## run a whole CDN in one process, with a sample site
	@echo "== starting (Ctrl-C ends it)"; exec $(PROGRAMS)/seafront up $(UP)

.PHONY: test
test: curl $(BIN)/versitygw $(BIN)/grpcurl programs load ## every test but the compose cluster
	@echo "== unit tests, race detector on (1 of 2)"; go test -race -timeout 10m ./... ./proto/...
	@echo "== end-to-end tests with the real programs (2 of 2)"; go test -count 1 -timeout 10m ./test/...
	@echo "== all tests passed"

# The docs' lines, which a test runs, use curl.
.PHONY: curl
curl:
	@command -v curl >/dev/null || { echo "== installing curl"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl; }

.PHONY: build
build: programs ## compile everything
	@go build work

.PHONY: programs
programs:
	@echo "== building seafront, config, origin-registry, edge (minutes the first time)"; mkdir -p $(PROGRAMS)
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(PROGRAMS)/ ./cmd/seafront ./services/config/cmd/config ./services/origin-registry/cmd/origin-registry ./services/edge/cmd/edge

.PHONY: bench
bench: ## benchmarks: compile, match, key, hit, and propagation through a real etcd
	@echo "== functions"; go test -run '^$$' -bench . -benchmem ./pkg/cdn/... ./services/edge/internal/...
	@echo "== propagation of a change"; SEAFRONT_BENCH=propagation go test -count 1 -v -timeout 30m -run '^TestPropagation$$' ./services/edge
	@echo "== acknowledgement of an invalidation"; SEAFRONT_BENCH=invalidation go test -count 1 -v -timeout 30m -run '^TestInvalidationAcknowledged$$' ./services/edge

.PHONY: hitratio
hitratio: ## which cache misses how often on the traces of a directory (TRACES=dir)
	@test -d "$(TRACES)" || { echo "usage: make hitratio TRACES=dir"; exit 1; }
	@echo "== hit ratios"; SEAFRONT_TRACES="$(abspath $(TRACES))" go test -count 1 -v -timeout 60m -run '^TestTraces$$' ./services/edge/internal/memory

.PHONY: bench-scale
bench-scale: programs $(PROGRAMS)/etcd ## 100,000 distributions through the real programs (SCALE=n for another number)
	@echo "== scale"; cd test && SEAFRONT_SCALE=$${SCALE:-100000} go test -count 1 -v -timeout 60m ./scale
	@echo "== propagation at that size"; SEAFRONT_BENCH=propagation-full go test -count 1 -v -timeout 60m -run '^TestPropagation$$' ./services/edge
$(PROGRAMS)/etcd: deploy/etcd/go.mod
	@echo "== building etcd (once)"; mkdir -p $(PROGRAMS); cd deploy/etcd && GOWORK=off CGO_ENABLED=0 go build -trimpath -o ../../$(PROGRAMS)/ ./etcd

# What the edge is measured beside comes from Debian's packages. The test shares a
# processor with the clients, so that the servers have the other to themselves.
.PHONY: bench-edge
bench-edge: programs load ## the edge beside nginx, Varnish and HAProxy (ROWS=hit-1k,tls QUICK=1 ROUNDS=5 WRITE=1)
	@missing=; for p in nginx:nginx varnishd:varnish haproxy:haproxy wrk:wrk h2load:nghttp2-client gcc:gcc; do command -v $${p%:*} >/dev/null || missing+=" $${p#*:}"; done; \
		[[ -z $$missing ]] || { echo "== installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }
	@echo "== the edge beside others (10 to 20 minutes)"; cd test && go test -c -o ../$(PROGRAMS)/bench.test ./bench
	@cd test/bench && SEAFRONT_BENCH=edge taskset --cpu-list 1 ../../$(PROGRAMS)/bench.test -test.count 1 -test.timeout 60m -test.v -test.run '^TestEdge$$'

.PHONY: conformance
conformance: curl programs load $(BIN)/h2spec ## suites of others and our own against one edge (UPDATE=1 writes test/conformance/results)
	@missing=; for p in varnishtest:varnish h2load:nghttp2-client gcc:gcc; do command -v $${p%:*} >/dev/null || missing+=" $${p#*:}"; done; \
		[[ -z $$missing ]] || { echo "== installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }
	@echo "== conformance"; cd test && SEAFRONT_CONFORMANCE=1 go test -count 1 -timeout 15m -v -run '^TestConformance$$' ./conformance

.PHONY: load
load:
	@mkdir -p $(PROGRAMS); cd test && CGO_ENABLED=0 go build -trimpath -o ../$(PROGRAMS)/ ./load/cmd/load

.PHONY: fuzz
fuzz: ## every fuzzer for FUZZTIME (default 10s)
	@grep -rlE '^func Fuzz' --include='*_test.go' pkg services | xargs -n1 dirname | sort -u | while read -r dir; do \
		for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do \
			echo "== $$dir $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-10s} ./$$dir; done; done

.PHONY: generate
generate: $(GENERATORS) ## make the Go code of the protos
	@echo "== generate"; buf format -w && buf generate

.PHONY: check-generate
check-generate: $(GENERATORS) ## fail when generated code is not what the protos make
	@echo "== check generated code"; buf format -d --exit-code && buf generate && test -z "$$(git status --porcelain -- proto)" || { git status --short -- proto; echo "run: make generate"; exit 1; }

.PHONY: lint
lint: $(BIN)/buf $(BIN)/golangci-lint ## check protos and Go code
	@echo "== buf lint"; buf lint
	@echo "== gofmt"; out=$$(gofmt -s -l $$(git ls-files '*.go' | grep -v '^proto/gen/')); test -z "$$out" || { echo "$$out"; echo "run: make fix"; exit 1; }
	@echo "== go vet"; go vet work && (cd test && go vet -tags cluster ./...)
	@echo "== golangci-lint"; golangci-lint run ./cmd/... ./pkg/... ./services/...
	@echo "== modules"; for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build ./...) || { echo "run: make tidy"; exit 1; }; done

.PHONY: fix
fix: $(BIN)/golangci-lint ## mend what can be mended by itself
	@gofmt -s -w $$(git ls-files '*.go' | grep -v '^proto/gen/'); golangci-lint run --fix ./cmd/... ./pkg/... ./services/...

.PHONY: tidy
tidy: ## bring go.mod files in order
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy); done

.PHONY: images
images: ## build the container images of the cluster, without pulling any
	@deploy/images.sh

.PHONY: cluster-up
cluster-up: images programs ## start the cluster of docker-compose.yml
	@mkdir -p .seafront; test -s .seafront/compose.key || (umask 077; $(PROGRAMS)/seafront secrets new-key >.seafront/compose.key)
	@$(PROGRAMS)/seafront credentials
	@SEAFRONT_CLUSTER_KEY=$${SEAFRONT_CLUSTER_KEY:-$$(paste -sd, .seafront/compose.key)} docker-compose up -d

.PHONY: cluster-down
cluster-down: ## stop the cluster and remove its data
	@docker-compose down --volumes --remove-orphans

.PHONY: test-cluster
test-cluster: images programs ## end-to-end test of the compose cluster
	@echo "== compose cluster"; cd test && go test -tags cluster -count 1 -v -timeout 20m ./cluster/...

.PHONY: clean
clean: ## remove what was built; data in .seafront stays
	@rm -rf $(BIN) .build

# Tools are built once, from the versions pinned below tools/.
$(BIN)/buf: tools/go.mod
	@echo "== building buf (minutes, once)"; $(TOOL) github.com/bufbuild/buf/cmd/buf
$(BIN)/protoc-gen-go: tools/go.mod
	@echo "== building protoc-gen-go"; $(TOOL) google.golang.org/protobuf/cmd/protoc-gen-go
$(BIN)/protoc-gen-go-grpc: tools/go.mod
	@echo "== building protoc-gen-go-grpc"; $(TOOL) google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(BIN)/grpcurl: tools/go.mod
	@echo "== building grpcurl (once)"; $(TOOL) github.com/fullstorydev/grpcurl/cmd/grpcurl
$(BIN)/h2spec: tools/go.mod
	@echo "== building h2spec (once)"; $(TOOL) github.com/summerwind/h2spec/cmd/h2spec
$(BIN)/versitygw: tools/versitygw/go.mod
	@echo "== building versitygw, the S3 server of the tests (once)"; cd tools/versitygw && GOWORK=off go build -o ../../$(BIN)/ github.com/versity/versitygw/cmd/versitygw
$(BIN)/golangci-lint: tools/lint/go.mod
	@echo "== building golangci-lint (minutes, once)"; cd tools/lint && GOWORK=off go build -o ../../$(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
