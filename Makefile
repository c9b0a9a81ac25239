# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Each target does the set-up that it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false
export PATH := $(CURDIR)/.bin:$(PATH)
BIN := .bin
TOOL := cd tools && GOWORK=off go build -o ../$(BIN)/

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

# Tools are built once, from the versions pinned below tools/.
$(BIN)/buf: tools/go.mod
	@echo "== building buf (minutes, once)"; $(TOOL) github.com/bufbuild/buf/cmd/buf
$(BIN)/protoc-gen-go: tools/go.mod
	@echo "== building protoc-gen-go"; $(TOOL) google.golang.org/protobuf/cmd/protoc-gen-go
$(BIN)/protoc-gen-go-grpc: tools/go.mod
	@echo "== building protoc-gen-go-grpc"; $(TOOL) google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(BIN)/grpcurl: tools/go.mod
	@echo "== building grpcurl"; $(TOOL) github.com/fullstorydev/grpcurl/cmd/grpcurl

.PHONY: build
build: ## compile everything
	@echo "== build"; go build work

.PHONY: generate
generate: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## make the Go code of the protos
	@echo "== generate"; buf format -w && buf generate

.PHONY: check-generate
check-generate: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## fail when generated code is not what the protos make
	@echo "== check generated code"; buf format -d --exit-code && buf generate && test -z "$$(git status --porcelain -- proto)" || { git status --short -- proto; echo "run: make generate"; exit 1; }

.PHONY: lint
lint: $(BIN)/buf ## check protos and Go code
	@echo "== buf lint"; buf lint
	@echo "== gofmt"; out=$$(gofmt -s -l $$(git ls-files '*.go' | grep -v '^proto/gen/')); test -z "$$out" || { echo "$$out"; exit 1; }
	@echo "== go vet"; go vet work
	@echo "== modules"; for m in . proto test; do (cd $$m && GOWORK=off go mod tidy -diff) || { echo "run: make tidy"; exit 1; }; done

.PHONY: tidy
tidy: ## bring go.mod files in order
	@for m in . proto test; do (cd $$m && GOWORK=off go mod tidy); done

.PHONY: test
test: ## every test but the compose cluster
	@echo "== unit and end-to-end tests, race detector on"; go test -race -timeout 10m work

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) .build
