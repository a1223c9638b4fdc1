# One image for every workload: collector, portal, code location, runs, web servers and Dagster's daemon.
#
#   docker build --build-arg PYTHON_DIGEST=sha256:… --build-arg REVISION=$(git rev-parse HEAD) -t …/analytics-platform:0.1.0 .
#
# The base has no default digest, so that nobody builds from whatever a tag means today.
ARG PYTHON_DIGEST

FROM docker.io/library/python:3.11-slim-bookworm@${PYTHON_DIGEST} AS build

# What the image is for; development's packages stay out.
ARG EXTRAS="platform outbox postgres aws gcs k8s snowflake bigquery powerbi connectors"
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DAGSTER_DISABLE_TELEMETRY=yes \
    DO_NOT_TRACK=1
SHELL ["/bin/bash", "-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c"]

RUN python -m venv --without-pip /opt/analytics

# Wheels alone, each with its hash: nothing is compiled here, so no compiler is in any stage.
WORKDIR /build
COPY requirements.lock ./
RUN pip --python /opt/analytics/bin/python install --require-hashes --only-binary :all: --no-compile \
    --requirement requirements.lock

# The project with what builds it, which the lock has too; then away with what only development needs.
COPY pyproject.toml README.md LICENSE ./
COPY analytics_platform ./analytics_platform
COPY asset_checks ./asset_checks
COPY docker/development_only.py ./docker/
RUN pip --python /opt/analytics/bin/python install --no-deps --no-index --no-build-isolation --no-compile . \
    && /opt/analytics/bin/python docker/development_only.py pyproject.toml ${EXTRAS} > development.txt \
    && pip --python /opt/analytics/bin/python uninstall --yes --requirement development.txt

# The asset graph is made from dbt's manifest, so a code location needs neither dbt's parser nor a warehouse to load.
COPY dbt /opt/analytics/dbt
RUN ANALYTICS_HOME=/tmp/home ANALYTICS_DBT_PROJECT_DIR=/opt/analytics/dbt PATH=/opt/analytics/bin:$PATH \
    analytics manifest --quiet \
    && rm -rf /tmp/home

# `import dbt` takes twice as long without; a hash in place of a time makes the files the same in each build.
RUN /opt/analytics/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/analytics/lib


FROM docker.io/library/python:3.11-slim-bookworm@${PYTHON_DIGEST}

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="analytics-platform" \
      org.opencontainers.image.description="Collector, portal, code location and web servers of the analytics platform" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# Folders that volumes are mounted on, so that a root file system that nobody may write has them.
RUN groupadd --gid 10001 analytics \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin analytics \
    && install -d -o 10001 -g 10001 /var/lib/analytics /opt/dagster/dagster_home

# Owned by root: the process cannot change its own code.
COPY --from=build /opt/analytics /opt/analytics

ENV PATH=/opt/analytics/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ANALYTICS_HOME=/var/lib/analytics \
    ANALYTICS_DBT_PROJECT_DIR=/opt/analytics/dbt \
    DAGSTER_DISABLE_TELEMETRY=yes \
    DO_NOT_TRACK=1

USER 10001:10001
WORKDIR /var/lib/analytics

# One image, several processes, and each is asked in another way: the chart's probes do it, and Docker's would guess.
HEALTHCHECK NONE

ENTRYPOINT ["analytics"]
CMD ["--help"]
