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

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin berth
COPY --from=builder /src/target/dist/berth /usr/local/bin/berth
COPY LICENSE /usr/share/doc/berth/LICENSE
COPY crates/store/data/NOTICE /usr/share/doc/berth/NOTICE
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["berth"]
CMD ["serve"]
