"""Models judged by rules before a commit, without a container: their size, their opset, and their predicted time."""

from collections.abc import Sequence

from edgesim.models import repository
from edgesim.options import CPU
from edgesim.results.verdict import Item, VerdictWord
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.recommend import predicted_cells, recommend


def screen(
    profile: str, models: Sequence[str], rules: Sequence[str], *, max_opset: int | None = None, target: str = CPU
) -> tuple[Item, ...]:
    """Judge each model by rules on its files and its prediction.

    Args:
        rules: such as ``artifact_bytes <= 20MiB`` and ``device_time_ms.p50 <= 50``.
        max_opset: the newest opset of ONNX's own operations that the board's runtime takes; None allows any.
        target: the target of the predicted time.

    Returns:
        An item for each model and rule, named by both. What cannot be predicted is INCONCLUSIVE, with the reason.

    Raises:
        UsageError: a rule is not one, or bounds what only a run has; no such profile or target.
        ModelError: no such model, or its file is not an ONNX model.
    """
    items = []
    for name in models:
        opset = repository.find(name).opset
        if max_opset is not None:
            verdict: VerdictWord = "PASS" if opset <= max_opset else "FAIL"
            items.append(Item(name=f"{name}: opset <= {max_opset}", verdict=verdict, finding=f"opset {opset}"))
        if rules:
            (choice,) = recommend(predicted_cells(Matrix.of([profile], [name], {"target": (target,)})), rules)
            items += [
                Item(name=f"{name}: {rule}", verdict=word, finding=finding) for rule, word, finding in choice.findings
            ]
    return tuple(items)
