"""The model server, which runs inside the container: ONNX Runtime behind the Open Inference Protocol over HTTP.

It imports nothing else of edgesim, because the image has this package alone, as `edgesim_server`. A request goes
through http_connection (bytes), routes (HTTP), inference (no HTTP), loaded_model and worker (queue), runtimes (run).

Imports delay the readiness of the server, most of all under emulation. So modules that few models need are imported
when a model needs them, and small values are named tuples: on an x86-64 host the definition of a frozen dataclass takes
1.7 ms, that of a named tuple 0.2 ms.
"""

from __future__ import annotations
