"""Text to vectors: a BERT in three stages (tokenise, forward, pool), a cache, a stand-in that needs no model.

Nothing heavy is imported here: torch and transformers come with ``make_encoder``, and only for a model that
needs them.
"""

from stream.encoder.factory import make_encoder
from stream.encoder.interface import TextEncoder

__all__ = ["TextEncoder", "make_encoder"]
