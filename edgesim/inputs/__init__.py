"""The inputs of requests: what the user says of them, the sizes that follow, and the arrays."""

from edgesim.inputs.choice import choose
from edgesim.inputs.inputs import Arrays, Inputs, samples_in

__all__ = ["Arrays", "Inputs", "choose", "samples_in"]
