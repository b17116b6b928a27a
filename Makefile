# Étiage. `make` alone says what there is.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/etiage/target
SHELL := /bin/bash
RELEASE := $(CARGO_TARGET_DIR)/release/etiage

.PHONY: help run test helm simulate mutations chaos soak fuzz asan up down demo clean-services bench bench-kafka bench-peers bench-replay bench-wide build dist docs fmt fmt-check lint

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Settings by environment: CARGO_TARGET_DIR, ETIAGE_CACHE (~/.cache/etiage), KAFKA_PORT (9092),"
	@echo "CASSANDRA_HOST (127.0.0.1), CASSANDRA_PORT (9042), SENSORS, HOURS, SEED, FROM, SEEDS, NAME, MINUTES."

run: build ## simulated sensors as files → engine → embedded store → the last hours per region; no server needed
	@services/run.sh $(RELEASE)

test: ## everything, against a real Kafka and a real Cassandra that it starts and stops itself
	@services/need.sh build servers python prometheus
	@services/test.sh

helm: build ## the Helm chart alone: lint, golden files, schemas, a policy, its configurations against the binary (UPDATE_GOLDEN=1)
	@services/need.sh servers python
	@tests/deploy/helm.sh $(RELEASE)

simulate: ## the engine in simulated worlds that do their worst: FROM=n SEEDS=n (from a drawn seed, 10000)
	@services/need.sh build
	@cargo test --quiet --release --features tls --test simulator -- $(if $(FROM),--from $(FROM)) --seeds $(or $(SEEDS),10000)

mutations: ## mistakes on purpose, each of which the simulator must see: NAME=… (all), FROM=n SEEDS=n (1, 100000)
	@services/need.sh build
	@tests/mutations/run.sh $(NAME)

up: ## start Kafka and Cassandra (docker compose where an engine runs, else from Maven Central)
	@if services/servers.sh compose; then docker compose up --detach --wait; \
	else services/need.sh servers && services/servers.sh start; fi

down: ## stop them; their data stays
	@if services/servers.sh compose; then docker compose stop; else services/servers.sh stop; fi

demo: build up ## up, then simulator → topic → engine → the CQL query and its answer
	@services/need.sh python
	@services/demo.sh $(RELEASE)

clean-services: ## stop them and remove their data
	@if services/servers.sh compose; then docker compose down --volumes; fi
	@services/servers.sh wipe

build: ## the release binary, with TLS
	@services/need.sh build
	@cargo build --release --features tls --bin etiage
	@echo "built $(RELEASE)"

dist: build ## the release's archive in dist/: binary, regions, examples, docs, licences, bill of materials, checksums
	@services/need.sh build python
	@services/dist.sh archive $(RELEASE) dist

bench: build ## what each step costs, in memory, beside other libraries; answers asserted
	@services/need.sh python
	@cargo bench --features tls
	@"$$(services/python.sh)/bin/python" benches/geos.py $(RELEASE) regions/regions.geojson regions/departements.geojson

bench-kafka: build ## the whole engine from a real topic to rows: codecs, stores, starts, scaling, backlog, latency (PARTS, READINGS, ROUNDS)
	@services/need.sh servers python
	@services/bench-kafka.sh $(RELEASE) $(PARTS)

bench-peers: build ## the same job on Flink and on Kafka Streams, rows checked equal, in turn: ratios of CPU and rate (READINGS, ROUNDS, VARIANTS=1)
	@services/need.sh servers jdk
	@services/bench-peers.sh $(RELEASE)

bench-replay: build ## how fast a replay folds, beside a plain run over the same topic, in both stores
	@services/need.sh servers
	@services/bench-replay.sh $(RELEASE)

bench-wide: build ## 200 tenants x 18 regions x 10 metrics, and 1,000,000 stations, in the embedded store: rate, CPU, memory
	@services/bench-wide.sh $(RELEASE)

SEED ?= 1
MINUTES ?= 5
chaos: build ## kill, stop, cut off and restart engines, brokers and store nodes; then every row against a recount (SEED, MINUTES)
	@services/need.sh servers python
	@services/chaos.sh $(RELEASE) $(SEED) $(MINUTES)

soak: build ## half of the greatest rate for long, faults now and then: memory, threads, connections, queues as curves (MINUTES; RATE)
	@services/need.sh servers python
	@services/soak.sh $(RELEASE) $(MINUTES)

fuzz: ## everything that reads what others wrote, under libFuzzer: MINUTES=n each (5), NAME=target… (all)
	@services/need.sh build
	@services/fuzz.sh $(MINUTES) $(NAME)

asan: ## the Kafka source, where our unsafe code is, and the binary under faults, with the address sanitizer on
	@services/need.sh build servers python
	@services/asan.sh

docs: ## docs/configuration.md anew from src/defaults.toml
	@services/need.sh build
	@ETIAGE_RENEW_DOCS=1 cargo test --quiet --features tls --test it the_configuration_is_documented

fmt: ## format the code
	@cargo fmt --all

fmt-check:
	@cargo fmt --all --check

lint: ## clippy, warnings as errors
	@services/need.sh build
	@cargo clippy --features tls --all-targets -- -D warnings
