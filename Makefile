# The front door. Each target does its own set-up; `make help` lists them.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
CACHE ?= $(or $(QUERNEL_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quernel)
CCACHE := $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache,)

.NOTPARALLEL:
.PHONY: help setup build demo test test-peers test-arm check fuzz bench bench-runtime lint tidy format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what building needs (Debian packages, one wheel); nothing where all is there
	@scripts/setup

build: setup ## the command at build/bin/quernel
	@cmake --preset release -DQUERNEL_TESTS=OFF $(CCACHE) >build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build build -j $(JOBS)

demo: build ## quantize a real model to 4 bits, verify it, measure it, show it
	@scripts/demo

test: setup ## all tests
	@scripts/test

test-peers: build ## against Transformers, compressed-tensors, tokenizers, gguf, safetensors
	@scripts/test-peers

test-arm: ## base, sys, tensor, io, codec, kernels and quant on aarch64, under qemu
	@scripts/test-arm

fuzz: setup ## every reader for FUZZ_SECONDS (60) with clang's libFuzzer and sanitizers
	@scripts/fuzz

check: lint test test-peers test-arm fuzz ## all of these (an hour and more on a fresh machine)

bench: build ## figures of this machine into bench/results
	@scripts/bench
	@scripts/bench-runtime

bench-runtime: build ## the integer runtime beside llama.cpp into bench/results
	@scripts/bench-runtime

lint: setup ## format, floors, instruction-set leaves
	@scripts/lint

tidy: setup ## clang-tidy over all sources (minutes)
	@scripts/lint tidy

format: ## clang-format on all sources
	@scripts/lint format

clean: ## remove what was built (the cache stays)
	rm -rf build
