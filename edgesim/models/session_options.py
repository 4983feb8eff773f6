"""Options of sessions of ONNX Runtime that show what a model is, and not how fast it is.

Imports nothing of ONNX Runtime before it is called: only processes of their own load models of strangers.
"""

from collections.abc import Sequence
from typing import Any

# Levels of optimization, by ONNX Runtime's names. Some models do not load without optimization.
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")


def of(level: str, libraries: Sequence[str] = ()) -> Any:
    """Return the `onnxruntime.SessionOptions` of a session on one thread.

    Args:
        level: one of `LEVELS`.
        libraries: of custom operations: code that the user has named for this host.

    Raises:
        ModelError: a library does not load.
    """
    import onnxruntime

    from edgesim.models import registration, session_loading

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exception says everything that the log would
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    # Weights that a kernel has packed for itself are a copy, and missing among the inputs that the profiler writes.
    options.add_session_config_entry("session.disable_prepacking", "1")
    for name in libraries:
        try:
            registration.register(options, name)
        except registration.LibraryFailed as error:
            raise session_loading.library_refusal(*error.args) from error
    return options
