# The operator's image. `make image` builds the same without Docker (hack/image/recipe.py; a test compares them).
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-pip
WORKDIR /build
COPY requirements-runtime.lock ./
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes --only-binary=:all: \
    --target=/opt/microapp-operator --requirement=requirements-runtime.lock && rm -rf /opt/microapp-operator/bin
COPY pyproject.toml README.md LICENSE ./
COPY operator/src operator/src
RUN python3 -m pip wheel --no-cache-dir --no-deps --wheel-dir=/tmp . && \
    python3 -m zipfile -e /tmp/*.whl /opt/microapp-operator
# A read-only root can't keep bytecode, so it is made here, checked by no time (PEP 552).
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/microapp-operator

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 && \
    python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11 && \
    rm -rf /var/lib/apt/* /var/cache/* /var/log/* /etc/apt /usr/lib/python3/dist-packages
COPY --from=build /opt/microapp-operator /opt/microapp-operator
ENV HOME=/ PATH=/usr/bin:/bin PYTHONPATH=/opt/microapp-operator PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title=microapp-operator \
      org.opencontainers.image.description="Confine, observe and account for micro apps on Kubernetes." \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=0.1.0
USER 65532:65532
WORKDIR /opt/microapp-operator
ENTRYPOINT ["python3", "-P", "-m", "microapp_operator"]
