"""A published image is run by its digest, with the model that is in it, or refused in one line."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesim import profiles
from edgesim.delivery.packed_image import MODELS_LABEL, PROFILE_LABEL
from edgesim.errors import EdgesimError, ImageUnavailable, ModelError, UsageError
from edgesim.jobs import published_image
from edgesim.jobs.check import check
from edgesim.jobs.run import run
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from edgesim.progress import Stages
from tests.support import input_models

NAME = f"r.example/shop/net@sha256:{64 * 'a'}"


class FakeEngine:
    """An engine that has one image, or whose registry refuses it with an error."""

    def __init__(self, model: Model, refusal: str = "") -> None:
        self.labels = {MODELS_LABEL: json.dumps({model.name: model.sha256}), PROFILE_LABEL: "jetson-nano"}
        self.members = {f"models/{model.name}/1/model.onnx": model.path.read_bytes()}
        self.links: dict[str, str] = {}
        self.built_for = "arm64"
        self.images: Any = self
        self.refusal = refusal

    def id(self, reference: str) -> str | None:
        assert reference == NAME
        return None if self.refusal else "sha256:1"

    def pull(self, reference: str, *, platform: str) -> None:
        raise ImageUnavailable(f"the engine has no image {reference!r}, and cannot pull the image: {self.refusal}")

    def provides(self, reference: str, architecture: str) -> bool:
        return architecture == self.built_for

    def architecture(self, reference: str) -> str:
        return self.built_for

    def label(self, reference: str, label: str) -> str | None:
        return self.labels.get(label)

    def facts(self, reference: str) -> Any:
        return {"Config": {"Labels": self.labels}}

    @contextmanager
    def file_transfer(self, image: str) -> Iterator[Any]:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name, content in self.members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            for name, target in self.links.items():
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, target
                tar.addfile(info)
        data.seek(0)
        yield SimpleNamespace(get=lambda path: data)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine(input_models.model_with(tmp_path / "net.onnx", {"x": (1, [1, 4])}))
    monkeypatch.setattr(published_image, "Engine", lambda context: fake)
    return fake


def provide(**keywords: Any) -> published_image.PublishedImage:
    options = RunOptions.of(**{"packed": NAME, **keywords})
    with published_image.provided(profiles.load("jetson-nano"), options, Stages(None)) as image:
        assert image.model.path.is_relative_to(image.repository)
        assert image.model.path.is_file()
        return image


def test_image_gives_the_model_that_is_in_it_for_the_length_of_a_block(engine: FakeEngine) -> None:
    image = provide()
    assert (image.reference, image.architecture, image.model.name) == (NAME, "arm64", "net")
    assert not image.model.path.exists()


def test_another_model_than_the_label_says_is_refused(engine: FakeEngine) -> None:
    engine.labels[MODELS_LABEL] = json.dumps({"net": "0" * 64})
    with pytest.raises(ModelError, match="its label says 000000000000"):
        provide()


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (None, "is not an image of edgesim pack"),
        ("not JSON", "is not in edgesim's format"),
        ("[]", "is not in edgesim's format"),
        ("{}", "has not one model, but 0"),
        ('{"../../etc/net": "0"}', "has not one model"),
        ('{"a": "0", "b": "0"}', "has not one model, but 2"),
    ],
)
def test_image_with_another_label_is_refused(engine: FakeEngine, label: str | None, problem: str) -> None:
    engine.labels = {} if label is None else {MODELS_LABEL: label}
    with pytest.raises(UsageError, match=problem):
        provide()


@pytest.mark.parametrize("name", ["../outside", "models/../../outside"])
def test_file_that_leads_out_of_the_directory_is_refused(engine: FakeEngine, name: str) -> None:
    engine.members[name] = b"stranger's"
    with pytest.raises(ModelError, match=r"/models in it cannot be read: .*outside"):
        provide()


def test_links_in_the_image_are_left_out(engine: FakeEngine) -> None:
    engine.links["models/net/1/passwd"] = "/etc/passwd"
    assert not any(path.is_symlink() for path in provide().repository.rglob("*"))


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        ("the engine refuses: unauthorized: authentication required", 3, "refuses shop/net to the engine"),
        ("the engine refuses: no basic auth credentials", 3, "refuses shop/net to the engine"),
        ("the engine refuses: manifest unknown: manifest unknown", 2, "has no shop/net with digest sha256:a"),
        ("the engine refuses: http: server gave HTTP response to HTTPS client", 3, "answers without TLS"),
        ("the engine refuses: dial tcp: connection refused", 3, "the engine cannot pull shop/net"),
        ("the engine refuses: something else", 4, "cannot pull the image: the engine refuses: something else"),
    ],
)
def test_pull_that_fails_is_told_as_a_push_is(engine: FakeEngine, words: str, code: int, problem: str) -> None:
    engine.refusal = words
    with pytest.raises(EdgesimError, match=problem) as caught:
        provide()
    assert caught.value.exit_code == code
    assert "\n" not in caught.value.problem


def test_image_for_another_architecture_is_refused(engine: FakeEngine) -> None:
    engine.built_for = "amd64"
    with pytest.raises(UsageError, match="is for amd64; the board jetson-nano is arm64"):
        provide()


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"packed": "r.example/shop/net:1"}, "has no digest"),
        ({"mount": "bind"}, "`mount`: the image of `packed` already contains model and server"),
        ({"runtime": "1.16.3"}, "`runtime`: the image of `packed`"),
        ({"engine": "local"}, "needs a container"),
    ],
)
def test_option_that_has_no_meaning_for_an_image_is_refused(
    engine: FakeEngine, keywords: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        provide(**keywords)


@pytest.mark.parametrize("job", [run, check])
def test_job_takes_a_model_or_an_image_and_not_both(job: Any) -> None:
    with pytest.raises(UsageError, match="give the model"):
        job("jetson-nano")
    with pytest.raises(UsageError, match="has the model in its image"):
        job("jetson-nano", "digits", packed=NAME)
