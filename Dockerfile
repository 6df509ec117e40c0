# One image for each server, both the same binary on a bare system without a shell:
#
#   docker build --target edge  -t flowgate .
#   docker build --target store -t flowgate-store .
#
# Listeners bind to all addresses inside, because what is published is decided outside. Data is a
# volume; nothing else is written, so that the rest may be read-only:
#
#   docker run --read-only --stop-timeout 30 -p 7070:7070 -v edge:/var/lib/flowgate …

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The target folder is a cache and not part of the layer, so the binary is copied out.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin flowgate \
    && cp target/release/flowgate /flowgate \
    && mkdir -p /data

# glibc, certificates of public authorities and an unprivileged user; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
LABEL org.opencontainers.image.title="Flowgate" \
      org.opencontainers.image.description="Edge evaluation proxy for versioned user flows" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /flowgate /usr/local/bin/flowgate
# A new volume takes over the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 --chmod=0700 /data /var/lib/flowgate
ENV FLOWGATE_DATA=/var/lib/flowgate
VOLUME ["/var/lib/flowgate"]
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/flowgate"]

FROM base AS store
ENV FLOWGATE_LISTEN=0.0.0.0:7080
EXPOSE 7080
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s \
    CMD ["/usr/local/bin/flowgate", "health", "--url", "http://127.0.0.1:7080"]
CMD ["store"]

# The last stage is what a build without a target makes. Its listeners are also those of
# `flowgate dev`, which shows everything in one container.
FROM base AS edge
ENV FLOWGATE_LISTEN=0.0.0.0:7070 \
    FLOWGATE_ADMIN__LISTEN=0.0.0.0:7071 \
    FLOWGATE_EDGE__LISTEN=0.0.0.0:7070 \
    FLOWGATE_STORE__LISTEN=0.0.0.0:7080
EXPOSE 7070 7071
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s \
    CMD ["/usr/local/bin/flowgate", "health"]
CMD ["edge"]
