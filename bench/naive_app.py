"""A contestant: what one writes first. confluent-kafka, sentence-transformers and River's k-means, event by event.

Each event's item text is encoded, a user's vector is a moving average of these, ``river.cluster.KMeans``
learns it, and the list is what is popular in the user's cluster and new to the user.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from confluent_kafka import Consumer, Producer
from river import cluster
from sentence_transformers import SentenceTransformer

from bench.sampling import Progress
from stream.config import EncoderSettings
from stream.encoder.checkpoint import locate

MOST_S = 20.0  # of wall time: on a busy machine it would take minutes
FADE = 0.9  # of a user's vector with each event
LIST = 20


class Naive:
    """All of its state."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.encoder = SentenceTransformer(str(locate(EncoderSettings())), device="cpu")
        self.kmeans = cluster.KMeans(n_clusters=16, seed=0)
        self.texts: dict[str, str] = job["texts"]
        self.vectors: dict[str, Any] = {}
        self.seen: defaultdict[str, set[str]] = defaultdict(set)
        self.popular: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.records, self.topic = job["records"], job["to"]
        self.producer = Producer({"bootstrap.servers": job["servers"]})
        self.consumer = Consumer(
            {"bootstrap.servers": job["servers"], "group.id": job["name"], "auto.offset.reset": "earliest"}
        )
        self.consumer.subscribe([job["events"]])

    def run(self) -> Progress:
        progress = Progress()
        while progress.events[-1] < self.records and progress.wall[-1] - progress.wall[0] < MOST_S:
            message = None
            while message is None:
                message = self.consumer.poll(1.0)
            self.take(json.loads(message.value()))
            progress.note(1, 1)
        self.producer.flush()
        self.consumer.close()
        return progress

    def take(self, event: dict[str, Any]) -> None:
        user, item = event["user_id"], event.get("item_id")
        text = event.get("text") or self.texts.get(item or "", "")
        vector = self.encoder.encode(text, normalize_embeddings=True, show_progress_bar=False)
        mean = self.vectors[user] = FADE * self.vectors.get(user, np.zeros_like(vector)) + vector
        point = dict(enumerate(mean.tolist()))
        self.kmeans.learn_one(point)
        own = self.kmeans.predict_one(point)
        if item is not None:
            self.seen[user].add(item)
            self.popular[own][item] += 1
        ranked = self.popular[own].most_common(LIST + len(self.seen[user]))
        listed = [(i, n) for i, n in ranked if i not in self.seen[user]][:LIST]
        record = {"user_id": user, "cluster": own, "items": [{"item_id": i, "score": n} for i, n in listed]}
        self.producer.produce(self.topic, json.dumps(record).encode(), user)
        self.producer.poll(0)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    Naive(json.load(sys.stdin)).run().report()
