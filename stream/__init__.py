"""Shoal's library: from behaviour events to clusters and recommendation lists, without a word of Kafka.

``pipeline.py`` reads from top to bottom in the order in which an event travels; ``broker/`` is the border to Kafka.
"""

import os
from pathlib import Path

from stream import kernel_cache

# numba reads it when it is loaded, which the first kernel does.
os.environ[kernel_cache.VARIABLE] = str(kernel_cache.choose(Path(__file__).parent))
