# The verbs of this project. What each does, and for how long, it says itself; the scripts are in .ci/.
# PG_CONFIG chooses another PostgreSQL than Debian's 15, PROFILE another build than release.

.PHONY: help setup build install demo test lint bench check-majors sql docs clean

help:
	@echo "make demo          build, start a throw-away server, and watch comments being judged"
	@echo "make install       build and install the extension for this machine's PostgreSQL"
	@echo "make test          run every test"
	@echo "make bench         measure: the engine, inserts, lookups (writes to benches/runs/)"
	@echo "make lint          formatting and clippy"
	@echo "make check-majors  compile for PostgreSQL 16, 17 and 18"
	@echo "make build         build the extension, installing nothing"
	@echo "make sql           write the schema to sql/pg_spamcheck.sql"
	@echo "make docs          write the catalogue of checks to docs/checks.md"
	@echo "make setup         install what is missing for all of these"
	@echo "make clean         remove what was built"

setup:
	@.ci/setup

build: setup
	@.ci/build

install: setup
	@.ci/install
	@echo "Now add this line to postgresql.conf, restart the server, and CREATE EXTENSION pg_spamcheck:"
	@echo "    shared_preload_libraries = 'pg_spamcheck'"

demo: setup
	@.ci/install
	@.ci/demo

test:
	@.ci/test

lint: setup
	@.ci/lint

bench: setup
	@.ci/install
	@.ci/bench

check-majors:
	@.ci/check-majors

sql: setup
	@.ci/schema > sql/pg_spamcheck.sql.new && mv sql/pg_spamcheck.sql.new sql/pg_spamcheck.sql

docs: setup
	@cargo run -q -p spamcheck-engine --example checks_page > docs/checks.md.new && mv docs/checks.md.new docs/checks.md

clean:
	@cargo clean
