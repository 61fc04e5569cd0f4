# What takes longer than a test, or wants more than `go test`. See CONTRIBUTING.md.

.DEFAULT_GOAL := help
.PHONY: help mutants soak

# Each target's line says what it is for, behind ##.
help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

ONLY ?=
WORLDS ?= 20000
EVERY ?= false

mutants: ## take each rule of the core out, and find what misses it: ONLY=grace,… WORLDS=20000 EVERY=true
	@go build -o bin/mutants ./rotation/rotationtest/mutants
	@bin/mutants -only '$(ONLY)' -worlds '$(WORLDS)' -every='$(EVERY)'

DURATION ?= 1m
SEED ?=
WITHOUT ?=
HANDOVER_TEST_VAULT_BIN ?= $(shell command -v bao || command -v vault)

soak: export HANDOVER_TEST_VAULT_BIN := $(HANDOVER_TEST_VAULT_BIN)
soak: ## run the program under faults: DURATION=10m SEED=… WITHOUT=disk_full,… (docs/soak.md)
	@go build -o bin/soak ./internal/soak
	@bin/soak -duration '$(DURATION)' -seed '$(SEED)' -without '$(WITHOUT)'
