"""What edgesim's own server would refuse of a model once it runs."""

from edgesim.models import custom_libraries, hardware_specific
from edgesim.models.repository import Model


def require(model: Model, *, architecture: str, board_cores: int) -> None:
    """Check a model's configuration, the processor that the model is for, and its libraries of custom operations.

    Args:
        model: the model to serve.
        architecture: of the server: the board's, or this host's for a plain process.
        board_cores: number of the board's cores.

    Raises:
        ModelError: the server would refuse the model.
    """
    model.check_configuration(board_cores=board_cores)
    hardware_specific.require(model, architecture)
    custom_libraries.require(model, architecture)
