"""The encoder that the settings ask for."""

from __future__ import annotations

from stream.config import EncoderSettings
from stream.encoder.cache import CachedEncoder
from stream.encoder.hashing import HashingEncoder
from stream.encoder.interface import TextEncoder
from stream.encoder.vector_store import LmdbStore, MemoryStore

MB = 1 << 20


def make_encoder(settings: EncoderSettings) -> TextEncoder:
    """Make the encoder of ``settings``, with its cache: one per process, shared by its threads.

    ``hashing`` has no cache: it takes 15 microseconds a text, a look-up 2.
    Raises EncoderError when the model or the cache cannot be used.

    Examples
    --------
    >>> make_encoder(EncoderSettings(model="hashing")).encoder_id
    'hashing:1:384'
    """
    if settings.model == "hashing":
        return HashingEncoder()
    from stream.encoder.transformer import TransformerEncoder  # torch takes seconds to import

    limit = settings.cache_mb * MB
    encoder = TransformerEncoder(settings, precision=settings.precision)
    store = MemoryStore(limit) if settings.cache is None else LmdbStore(settings.cache, limit)
    return CachedEncoder(encoder, store)
