"""Programs that read from Kafka: the worker, the learner's role, the command line.

NumPy is told to multiply matrices in one thread, unless ``OPENBLAS_NUM_THREADS`` says otherwise. Shoal's are small,
and on cores that have other work, as a worker's have, OpenBLAS's threads wait for each other: with two of them on two
busy cores reviews of the clusters took 25 times as long. NumPy asks for it when it is loaded, hence here.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
