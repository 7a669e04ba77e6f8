# bullpen in a container: the supervisor is process 1, job files come through a mounted folder.
#
#   docker build -t bullpen .
#   mkdir -p jobs && docker run --rm -v "$PWD/jobs:/jobs" bullpen
#
# Plain instructions only, so that the classic builder and BuildKit both build it.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Symbols are for those who debug a build of their own; they would be a third of the binary.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols

# Dependencies first, in a layer of their own: it stands until a manifest or the lock file changes,
# and spares every other build their compilation. Cargo wants all members of the workspace, so empty
# crates stand in for ours. (A bench, example or test that a manifest names needs an empty file too.)
COPY Cargo.toml Cargo.lock ./
COPY protocol/Cargo.toml protocol/
COPY ipc/Cargo.toml ipc/
COPY node/Cargo.toml node/
COPY supervisor/Cargo.toml supervisor/
COPY laboratory/Cargo.toml laboratory/
COPY simulation/Cargo.toml simulation/
COPY bench/tree/Cargo.toml bench/tree/
RUN for crate in protocol ipc node supervisor laboratory simulation bench/tree; do \
        mkdir "$crate/src" \
        && echo '//! Stands in.' > "$crate/src/lib.rs" \
        && printf '//! Stands in.\nfn main() {}\n' > "$crate/src/main.rs" \
        || exit 1; \
    done \
    && mkdir protocol/benches protocol/tests ipc/benches node/benches supervisor/tests laboratory/tests \
    && touch protocol/benches/plan.rs protocol/benches/step.rs protocol/tests/all.rs \
        ipc/benches/codec.rs ipc/benches/link.rs node/benches/factorial.rs \
        supervisor/tests/all.rs supervisor/tests/verdict_memory.rs laboratory/tests/all.rs \
    && cargo build --release --locked -p supervisor \
    && rm -r protocol/src ipc/src node/src supervisor/src laboratory/src simulation/src

COPY protocol protocol
COPY ipc ipc
COPY node node
COPY supervisor supervisor
COPY laboratory laboratory
COPY simulation simulation
# COPY keeps the files' times, which may lie before those of the empty crates: without the touch
# cargo would take the empty crates for up to date.
RUN find protocol ipc node supervisor laboratory simulation -name '*.rs' -exec touch {} + \
    && cargo build --release --locked -p supervisor

# Above debian:bookworm-slim the image has three layers of any size, 10 MB in all:
#   procps, with what it needs   2.3 MB   for the experiments
#   licences and README          0.2 MB
#   the binary, stripped         7.7 MB   last, since it alone changes from build to build
FROM debian:bookworm-slim

LABEL org.opencontainers.image.title="bullpen" \
      org.opencontainers.image.description="Factorials by a cluster of processes that survives the death of any of them" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.documentation="/usr/share/doc/bullpen/README.md" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.licenses="(MIT OR Apache-2.0) AND LGPL-3.0-only"

# pkill and ps: `docker exec NAME pkill -9 coordinator` is the experiment.
RUN apt-get update \
    && apt-get install -y --no-install-recommends procps \
    && rm -rf /var/lib/apt/lists/*

# Without a mount there is an inbox all the same. Anybody may write to it, so that `--user` works
# without a mount too, and with a named volume, which takes its mode from here. No VOLUME: it would
# leave an anonymous volume behind for each container.
# Likewise /run, for the run directory: a `--tmpfs /run` takes its mode from here, whoever runs in it.
RUN mkdir -m 1777 /jobs && chmod 1777 /run
# For every way to start it: `docker run … bullpen up --delay 5ms` replaces CMD.
ENV BULLPEN_JOBS=/jobs

# The manual page is not here, where there is no `man`: `docker run --rm bullpen man | man -l -` shows it.
# Whoever passes the image on passes on the licences of all code in the binary. The README says what that
# of the arithmetic, the LGPL, asks for besides.
COPY LICENSE-MIT LICENSE-APACHE THIRD-PARTY-LICENSES.txt README.md /usr/share/doc/bullpen/
COPY --from=build /src/target/release/bullpen /usr/local/bin/

# Started as root, so that the supervisor can become the owner of whatever folder is mounted on
# /jobs: no user that the image could choose may write to all of them. Nothing runs as root then,
# unless the folder is root's. `--user` chooses another.

# A coordinator is there: of three looks in a row one may fall into an election. Longer than the 5 s
# that `status` itself waits for a supervisor that does not answer.
HEALTHCHECK --interval=5s --timeout=8s --start-period=5s --retries=3 \
    CMD ["bullpen", "status", "--check"]

# The form with brackets, so that bullpen itself is process 1 and gets the signals. `docker stop`
# waits 10 s for it; it needs less than 5.
STOPSIGNAL SIGTERM
ENTRYPOINT ["bullpen"]
CMD ["up", "--jobs", "/jobs"]
