"""Streaming clustering: centres that live, split, merge and keep their names."""

from stream.clustering.kmeans import StreamingKMeans
from stream.clustering.projection import Projection, fit_projection
from stream.clustering.seeding import choose_k, seed_centres
from stream.clustering.stats import ClusterStats, merge_stats

__all__ = [
    "ClusterStats",
    "Projection",
    "StreamingKMeans",
    "choose_k",
    "fit_projection",
    "merge_stats",
    "seed_centres",
]
