FROM rust:1.95-bookworm AS base
WORKDIR /src

# The workspace without its code: what the next stage copies from here changes only with the manifests, the lock
# file and the names of the sources, so that a change of our code does not build the dependencies again.
FROM base AS skeleton
COPY . .
RUN find . -type f ! -name '*.rs' ! -name '*.toml' ! -name Cargo.lock -delete \
 && find . -type d -empty -delete \
 && find . -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" > "$file"; done' sh {} +

FROM base AS builder
COPY --from=skeleton /src .
RUN cargo build --profile dist --locked --package berth
COPY . .
ENV SQLX_OFFLINE=true
# Cargo goes by the time of the files; those of the checkout may be older than the empty ones.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --profile dist --locked --package berth

# The agent for the nodes, of both architectures whatever this one is. It runs on every Linux, whatever its C library.
FROM builder AS agent
RUN case "$(uname -m)" in \
      x86_64) other="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      *) other="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
    esac \
 && apt-get update \
 && apt-get install --yes --no-install-recommends $other \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
RUN for target in x86_64=amd64 aarch64=arm64; do \
      cargo build --profile dist --locked --package agent --target "${target%=*}-unknown-linux-gnu" \
      && install -D "target/${target%=*}-unknown-linux-gnu/dist/berth-agent" "/agents/berth-agent-linux-${target#*=}" \
      || exit 1; \
    done

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin berth
COPY --from=builder /src/target/dist/berth /usr/local/bin/berth
COPY --from=agent /agents /usr/local/lib/berth
ENV BERTH_AGENT_DIR=/usr/local/lib/berth
COPY LICENSE /usr/share/doc/berth/LICENSE
COPY crates/store/data/NOTICE /usr/share/doc/berth/NOTICE
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["berth"]
CMD ["serve"]
