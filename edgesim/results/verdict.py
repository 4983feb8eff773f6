"""Verdicts about a model or a device: PASS, FAIL or INCONCLUSIVE, item by item. Never about a run as a measurement."""

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]


class Item(BaseModel):
    """One thing that was looked at, and its figures in `finding`; `figures` has them for programs, where it tells."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict
    finding: str
    figures: dict[str, float] = {}


class Check(BaseModel):
    """A pre-release check: what a model will do on a board, as far as this host can tell."""

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

    @property
    def verdict(self) -> Verdict:
        """FAIL where one item fails, else INCONCLUSIVE where one is, else PASS; without an item nothing was shown."""
        verdicts = {item.verdict for item in self.items}
        if "FAIL" in verdicts:
            return "FAIL"
        return "PASS" if verdicts == {"PASS"} else "INCONCLUSIVE"

    def as_json(self) -> str:
        """Its text as JSON, the verdict of the whole with it."""
        document = self.model_dump(mode="json") | {"verdict": self.verdict}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
