"""Verdicts on a model or a board: PASS, FAIL or INCONCLUSIVE, item by item.

Whether a run can be trusted as a measurement is no verdict: see `edgesim.results.run_result.ValiditySection`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

import edgesim
from edgesim.results import result_file

VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE"]


class Item(BaseModel):
    """One thing that was judged, such as a rule, with its own verdict.

    `finding` says in words, with figures, why. `figures` has the same numbers for programs; empty where an item has
    none.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: VerdictWord
    finding: str
    figures: dict[str, float] = {}


class Verdict(BaseModel):
    """A verdict on a model on a board: the answer of the pre-release check, or of a gate.

    `base` and `candidate` tell the two sides apart that rules of change compared; None where nothing was compared.
    `profile` is the profile's name and `board` its title with the power mode. `execution` is None where the board did
    not run, `mount` how the model came into the container (None from a gate, which mounts nothing). The items in
    `not_judged` are shown beside the others, and have no part in the verdict.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    created: str
    edgesim_version: str
    profile: str
    board: str
    model: str
    execution: str | None
    items: tuple[Item, ...]
    mount: Literal["bind", "volume", "image"] | None = None
    not_judged: tuple[Item, ...] = ()
    base: str | None = None
    candidate: str | None = None

    @property
    def sides(self) -> tuple[tuple[str, str], ...]:
        """The two sides with their names; empty where nothing was compared."""
        if self.base is None or self.candidate is None:
            return ()
        return ("base", self.base), ("candidate", self.candidate)

    @property
    def word(self) -> VerdictWord:
        """The verdict on the whole, which is its worst item's.

        FAIL if an item fails, else INCONCLUSIVE if an item is inconclusive, else PASS. Without any item, nothing was
        shown: INCONCLUSIVE.
        """
        words = {item.verdict for item in self.items}
        if "FAIL" in words:
            return "FAIL"
        return "PASS" if words == {"PASS"} else "INCONCLUSIVE"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a table of the items, and the verdict on the whole."""
        return edgesim.notebook_html(self)

    def as_json(self) -> str:
        """Return the verdict as JSON text; the word for the whole is its field ``verdict``."""
        document = self.model_dump(mode="json") | {"verdict": self.word}
        return result_file.json_text(document)
