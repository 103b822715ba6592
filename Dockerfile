# One image for every role: docker run fourfold produce | process | watch | ...
FROM python:3.11-slim-bookworm AS build

# the dependencies first: they change less often than the code
COPY requirements/ /tmp/requirements/
RUN PIP_NO_CACHE_DIR=1 python /tmp/requirements/install.py /opt/fourfold /tmp/requirements/runtime.txt \
 && /opt/fourfold/bin/pip uninstall --quiet --yes pip setuptools setuptools-scm vcs-versioning

# the code as it is: no build back end is in the lock. Compiled here, as nobody may write there later.
# Spawned processes of a recompute run the command's file again, under another name
COPY . /app/
RUN rm -r /app/requirements \
 && python -m compileall -q /app \
 && printf '%s\n' '#!/opt/fourfold/bin/python' 'from modes.__main__ import main' 'if __name__ == "__main__":' '    main()' >/opt/fourfold/bin/fourfold \
 && chmod 755 /opt/fourfold/bin/fourfold


FROM python:3.11-slim-bookworm

# a new volume takes the folder's owner
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin fourfold \
 && install -d -o fourfold /lake
COPY --from=build /opt/fourfold /opt/fourfold
COPY --from=build /app /app

ENV PATH=/opt/fourfold/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FOURFOLD_DATA_DIR=/tmp/fourfold \
    FOURFOLD_METRICS_HOST=0.0.0.0 \
    FOURFOLD_METRICS_PORT=9100
USER fourfold
WORKDIR /tmp
EXPOSE 9100

# of roles; what serves no metrics (topics, watch, questions) switches it off
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-m", "adapters.health_probe"]

ENTRYPOINT ["fourfold"]
CMD ["--help"]
