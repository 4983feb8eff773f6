"""Whether a predicted time can be: a board with a slower core than this host's is not quicker than this host."""

from edgesim.predictions.cost import Machine, unit_seconds
from edgesim.predictions.fitted import load_fitted
from edgesim.predictions.onnxruntime_cpu import predict_nodes
from edgesim.predictions.prediction import Prediction
from edgesim.profiles import DeviceProfile


def times_as_slow(profile: DeviceProfile) -> float:
    """Return how many times as long as on this host the yardstick takes on the board, on one thread each."""
    from edgesim.predictions import yardstick  # here, because it imports onnx and runs ONNX Runtime

    machine = Machine.of(profile, threads=1)
    units = unit_seconds(machine, load_fitted().coefficients(machine.core))
    return yardstick.measure().ratio(units, machine)


def on_threads(profile: DeviceProfile, prediction: Prediction, threads: int) -> float:
    """Return the device time that the same prediction gives for another number of threads, in milliseconds."""
    return predict_nodes(profile, [time.node for time in prediction.nodes], threads=threads).p50_ms
