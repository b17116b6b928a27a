# syntax=docker/dockerfile:1
# Étiage as an image: the tree of `make dist` (services/dist.sh) under /opt/etiage, on a base without a shell.
#   docker build --tag etiage:0.1.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/etiage:0.1.0 --push .
# docs/containers.md says why it is as it is, and what of it was not run.
ARG RUST=1.95

# Each platform compiles on itself, natively or under QEMU: librdkafka, SQLite, zstd and OpenSSL would all need a cross-compiler.
FROM docker.io/library/rust:${RUST}-bookworm AS build
# Versions are Debian 12's own, as the final stage's libraries are.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libssl-dev pkg-config python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY services/common.sh services/tool.sh services/
RUN services/tool.sh cargo-cyclonedx
COPY . .
RUN cargo build --locked --release --features tls --bin etiage
# The time of the commit makes the files' times, and the SBOM's: --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
ARG SOURCE_DATE_EPOCH=0
RUN services/dist.sh tree target/release/etiage /out \
 && find /out -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# glibc, libgcc and OpenSSL 3, which the binary links, the authorities' certificates and time zones: nothing else.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="etiage" \
      org.opencontainers.image.description="Exactly-once windowed aggregation of geolocated sensor readings: Kafka in, Cassandra rows out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /out /opt/etiage
# Health and metrics can be asked for from outside of the container; who may reach the port is the network's to say.
ENV ETIAGE_SERVE__LISTEN=0.0.0.0:9464
WORKDIR /opt/etiage
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/opt/etiage/bin/etiage"]
CMD ["--help"]
