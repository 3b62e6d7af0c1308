# The image of the service: docker build --tag backfill .
# With buildah: buildah build --format docker --tag backfill . (images of the OCI format have no health check)
#
# Another base image needs Python 3.11 or newer with the module venv: --build-arg BASE=registry.example.org/python
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /srv/backfill
RUN python3 -m venv /opt/backfill
ENV PATH=/opt/backfill/bin:$PATH
# The packages first, so that this layer is built again only if they change. The image itself needs no pip.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --requirement requirements.txt \
    && pip uninstall --yes --quiet pip setuptools
COPY . ./
# The root file system is read-only, so everything that could be written later is written here.
RUN DJANGO_DEBUG=true BACKFILL_ENV_FILE=/dev/null python manage.py collectstatic --no-input --verbosity 0 \
    && rm -rf var \
    && python -m compileall -q .

FROM ${BASE}
RUN groupadd --gid 10001 backfill \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /srv/backfill --shell /usr/sbin/nologin backfill
COPY --from=build /opt/backfill /opt/backfill
COPY --from=build /srv/backfill /srv/backfill
WORKDIR /srv/backfill
# The only folder of the image that the service may write: for a SQLite file, mount a volume here.
RUN install --directory --owner 10001 --group 10001 var
ENV PATH=/opt/backfill/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
# Not with urllib, which would use the proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
# gunicorn.conf.py has the other options. WEB_CONCURRENCY sets the number of processes.
CMD ["gunicorn", "backfill_site.wsgi", "--bind", "0.0.0.0:8000", "--worker-tmp-dir", "/dev/shm"]
