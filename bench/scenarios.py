"""Every scenario by its id. Ids are permanent: results of two dates are compared by them."""

from __future__ import annotations

from dataclasses import dataclass


class Unavailable(Exception):
    """This machine or installation cannot run the scenario; says what is missing."""


@dataclass(frozen=True)
class Scenario:
    """Where it is, what it measures, and against what; ``function`` takes nothing and gives a ``Measured``."""

    module: str
    function: str
    what: str


SCENARIOS = {
    "loop": Scenario(
        "bench.service",
        "loop",
        "the least that Kafka costs: parses, produces records of the worker beside it",
    ),
    "worker": Scenario(
        "bench.service", "worker", "the whole service, beside loop, quix-copy and naive on the same events"
    ),
    "worker-cold": Scenario(
        "bench.service", "cold", "a worker with no vector cached, beside one that has them all"
    ),
    "naive": Scenario("bench.service", "naive", "event by event with the usual libraries, beside loop"),
    "quix-copy": Scenario(
        "bench.service", "quix_copy", "Quix Streams, exactly once, only copying, beside loop"
    ),
    "restore": Scenario(
        "bench.restore", "restore", "1,000,000 profiles from a snapshot beside the changelog; the model"
    ),
    "encoder-cpu": Scenario(
        "bench.encoder_cpu",
        "encoder_cpu",
        "texts per second, beside sentence-transformers and the bare model",
    ),
    "encoder-gpu": Scenario(
        "bench.encoder_gpu", "encoder_gpu", "BERT-base on a GPU, against the card's peak and the bare model"
    ),
    "cluster": Scenario(
        "bench.clusters",
        "cluster",
        "clusters: speed, error, truth, churn, beside scikit-learn's and River's k-means",
    ),
    "cluster-sizes": Scenario(
        "bench.clusters",
        "sizes",
        "learning clusters over dimensions, clusters and batches, beside scikit-learn's",
    ),
    "profiles": Scenario(
        "bench.profiles", "profiles", "events into profiles, beside the same sums event by event"
    ),
    "recommend": Scenario("bench.recommend", "recommend", "what a list costs, beside implicit's"),
    "latency": Scenario(
        "bench.latency", "latency", "produced to visible, against what is asked for: 250 ms at half load"
    ),
    "memory": Scenario("bench.memory", "memory", "bytes of a user and of an item, beside Python's objects"),
    "scale": Scenario("bench.scale", "scale", "two and four workers on one log, beside one"),
    "ablations": Scenario(
        "bench.ablations",
        "ablations",
        "lists without each source, clusters or vectors, beside lists with all",
    ),
    "shortlists": Scenario(
        "bench.shortlists", "shortlists", "the clusters' shortlists against a scan of 1,000,000 items"
    ),
    "growth": Scenario("bench.growth", "growth", "cost as users and items grow, beside the smallest"),
}
