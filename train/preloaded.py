"""TensorFlow and Keras, imported for processes that are forked from the importing one.

Importing this module imports them, once for all those processes, which have nothing left to import. TensorFlow starts
its threads and looks for GPUs when it is first used, which each process does for itself: what has begun neither can be
forked. JAX and PyTorch are left to each process.
"""

from __future__ import annotations

import contextlib
import gc
import warnings

from lpe.train import backend
from lpe.transforms.errors import UsageError

warnings.simplefilter("ignore")  # libraries' chatter, for developers
with contextlib.suppress(UsageError):  # each process says it in its own time
    if backend.name() == "tensorflow":
        backend.import_keras()
        gc.freeze()  # no process looks for garbage among modules
