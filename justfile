# Recipes for people who work on bullpen; `just` lists them.

default:
    @just --list

# All tests, as the README has them.
test:
    cargo test --workspace

# Format and lints, warnings as errors.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation of all crates, warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Licences, sources and duplicates of the dependencies, and advisories on them (needs cargo-deny).
deny:
    .ci/deny

# Writes THIRD-PARTY-LICENSES.txt anew, after a change of Cargo.lock (needs cargo-about); some minutes.
licenses:
    .ci/licenses --write

# An archive to pass on, in target/dist: the binary, its manual page, the licences of all code in it, the README.
dist:
    .ci/licenses
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked
    .ci/dist

# How long the cluster is without a coordinator; prints a table, some five minutes.
bench-failover:
    cargo build --release
    bench/failover

# How long it is without a coordinator while 1000000! is computed; signals at random moments.
bench-failover-busy rounds="100":
    cargo build --release
    bench/failover --rounds {{rounds}} --load 1000000

# How fast it is, beside its goals, and what others would take; prints tables, some ten minutes.
bench *options:
    bench/run {{options}}

# The same tree by Ray, Dask and Celery too (installs them, and needs redis-server).
bench-peers *options:
    bench/run --only peers --heavy-peers {{options}}

# Codec, plan and the state machine by themselves.
bench-micro *options:
    cargo bench -p protocol -p ipc --bench plan --bench step --bench codec -- {{options}}

# Time and memory as n grows and as nodes are added; writes docs/scaling.md and docs/scaling.svg.
bench-scaling *options:
    bench/scaling {{options}}

# Where the processor time of one computation goes (needs perf).
profile *options:
    bench/profile {{options}}

# Whole clusters in virtual time, so many seeds of them.
simulate seeds="10000" first="0":
    cargo run --release -p simulation -- --seeds {{seeds}} --first-seed {{first}}

# Every order of events of a small cluster, within bounds; some minutes.
model:
    cargo run --release -p simulation -- model

# One safeguard after the other taken out, and what notices; half an hour, prints a table.
mutants:
    simulation/mutants

# One thing changed at a time anywhere in the protocol, drawn by a seed (needs cargo-mutants); over an hour.
protocol-mutants *options:
    protocol/mutants {{options}}

# Nodes, frames and job files are told anything, in so many cases a test.
fuzz cases="100000":
    PROPTEST_CASES={{cases}} cargo test --release -p protocol --test all fuzz::
    PROPTEST_CASES={{cases}} cargo test --release -p ipc --lib codec

# The image and what people do with it (needs a container engine).
container:
    tests/container/run

# Job files that mean harm, among good jobs, in 512 MB of memory (needs a container engine, or root).
hostile *options:
    tests/hostile/run {{options}}

# What a machine does for every change.
ci:
    .ci/run

# A hundred faults while jobs run, and a verdict; some two minutes.
experiment *options:
    cargo run --release -- experiment {{options}}
