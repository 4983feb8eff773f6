"""The tolerances of a model's outputs, by the precision in which the model computes them."""

from edgesim.measure import tolerance
from edgesim.measure.tolerance import Tolerance
from edgesim.models import precision
from edgesim.models.repository import Model


def of_outputs(model: Model) -> dict[str, Tolerance]:
    """Return the tolerance of each output whose rounding is not that of its own type: by the model's precision.

    An output of whole numbers, such as a class, stays exact, unless it is itself quantized.
    """
    datatypes = {output.name: output.datatype for output in model.outputs}
    allowed = {}
    for name, computed in precision.of_outputs(model).items():
        is_float, is_quantized = datatypes[name].startswith(("FP", "BF")), datatypes[name] in ("INT8", "UINT8")
        if computed.kind == "int8" and (is_float or (is_quantized and computed.step is not None)):
            allowed[name] = tolerance.quantized(computed.step)
        elif computed.kind != "int8" and is_float:
            allowed[name] = tolerance.half_precision(computed.kind)
    return allowed
