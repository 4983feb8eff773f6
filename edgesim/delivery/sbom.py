"""What is in a packed image: a list of its packages and models as CycloneDX 1.5, https://cyclonedx.org."""

import hashlib
import json
import re
from collections.abc import Sequence
from email.parser import BytesHeaderParser
from typing import Any

from edgesim import __version__
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile

_ELF = b"\x7fELF"
_PYTHON_PACKAGES = "opt/edgesim/packages/"
_PYTHON = re.compile(r"^(.*/)?[^/]+\.dist-info/METADATA$")
_DEBIAN = re.compile(r"^(\./)?var/lib/dpkg/status(\.d/[^/]+)?$")


class Found:
    """What is in a root file system, gathered as its files go by.

    A base that was unpacked from Debian's packages has no record of them: programs and libraries of no Python package
    are therefore listed one by one, by their digest.
    """

    def __init__(self) -> None:
        self.packages: set[tuple[str, str, str]] = set()
        self.programs: dict[str, str] = {}

    def look(self, path: str, data: bytes) -> None:
        """Take up a file that tells of packages, or is a program or a library."""
        if _PYTHON.match(path):
            self._add("pypi", data, "Name")
        elif _DEBIAN.match(path):
            for paragraph in re.split(rb"\n\s*\n", data):
                if paragraph.strip():
                    self._add("deb", paragraph.lstrip(), "Package")
        elif data.startswith(_ELF) and not path.startswith(_PYTHON_PACKAGES):
            self.programs[path] = hashlib.sha256(data).hexdigest()

    def _add(self, kind: str, data: bytes, key: str) -> None:
        told = BytesHeaderParser().parsebytes(data)
        if told[key] and told["Version"]:
            self.packages.add((kind, str(told[key]), str(told["Version"])))


def document(found: Found, models: Sequence[Model], board: DeviceProfile) -> bytes:
    """The list; the same for the same contents."""
    components: list[dict[str, Any]] = [
        {"type": "application", "name": "edgesim-server", "version": __version__, "bom-ref": "edgesim-server"}
    ]
    for model in models:
        components.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"model:{model.name}",
                "name": model.name,
                "version": model.version,
                "hashes": [{"alg": "SHA-256", "content": model.sha256}],
                "properties": [
                    {"name": "edgesim:size_bytes", "value": str(model.size_bytes)},
                    {"name": "edgesim:opset", "value": str(model.opset)},
                ],
            }
        )
    for kind, name, version in sorted(found.packages):
        purl = f"pkg:{'deb/debian' if kind == 'deb' else kind}/{name}@{version}"
        components.append({"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl})
    for path, digest in sorted(found.programs.items()):
        hashes = [{"alg": "SHA-256", "content": digest}]
        components.append({"type": "file", "name": f"/{path}", "hashes": hashes, "bom-ref": f"file:/{path}"})
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"edgesim/packed for {board.reference}"}},
        "components": components,
    }
    return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"
