# Handover as an image: one static binary, CA roots, a user without rights.
#
#   docker build -t handover .
#   docker run --read-only --tmpfs /run/handover:uid=65532,gid=65532 \
#     -v ./agent.yaml:/etc/handover/agent.yaml:ro -v ./admin.token:/run/secrets/qualytics-admin:ro \
#     -v handover:/var/lib/handover handover
#
# What is mounted must be readable for uid 65532, and /var/lib/handover must
# stay: the journal stands there. The health check reads /etc/handover/agent.yaml
# for the address to ask; with another file, give another --health-cmd.
#
# The old builder suffices. Both base images can be replaced:
#   --build-arg BUILD_IMAGE=…   Go of go.mod's version and /etc/ssl/certs/ca-certificates.crt
#   --build-arg BASE_IMAGE=…    anything; nothing of it is needed
ARG BUILD_IMAGE=golang:1.26
ARG BASE_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# /out/own becomes the agent's own folders, which are empty.
RUN go build -trimpath -ldflags "-s -w" -o /out/handover ./cmd/handover && mkdir /out/own

FROM ${BASE_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/handover /handover
# The journal, and the control socket: the defaults of state.sqlite and agent.socket.
COPY --from=build --chown=65532:65532 /out/own /var/lib/handover
COPY --from=build --chown=65532:65532 /out/own /run/handover
USER 65532:65532
WORKDIR /etc/handover
VOLUME ["/var/lib/handover"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["/handover", "healthcheck"]
ENTRYPOINT ["/handover"]
CMD ["run"]
