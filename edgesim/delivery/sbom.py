"""The software bill of materials of a packed image: its packages and models as CycloneDX 1.5, https://cyclonedx.org."""

import hashlib
import json
import re
from collections.abc import Sequence
from email.parser import BytesHeaderParser
from typing import Any

from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.version import __version__

_ELF = b"\x7fELF"
_PYTHON_PACKAGES = "opt/edgesim/packages/"
_PYTHON = re.compile(r"^(.*/)?[^/]+\.dist-info/METADATA$")
_DEBIAN = re.compile(r"^(\./)?var/lib/dpkg/status(\.d/[^/]+)?$")


class Components:
    """The packages and programs of a root file system, collected file by file.

    A base image that was unpacked from Debian packages has no record of the packages: programs and libraries that
    belong to no Python package are therefore listed one by one, with their digests.

    Attributes:
        packages: kind (``pypi``, ``deb``), name and version of each package.
        programs: the SHA-256 of each program or library, by path.
    """

    def __init__(self) -> None:
        self.packages: set[tuple[str, str, str]] = set()
        self.programs: dict[str, str] = {}

    def add_file(self, path: str, data: bytes) -> None:
        """Add the packages that a file describes, or the file itself if it is a program or a library."""
        if _PYTHON.match(path):
            self._add_package("pypi", data, "Name")
        elif _DEBIAN.match(path):
            for paragraph in re.split(rb"\n\s*\n", data):
                if paragraph.strip():
                    self._add_package("deb", paragraph.lstrip(), "Package")
        elif data.startswith(_ELF) and not path.startswith(_PYTHON_PACKAGES):
            self.programs[path] = hashlib.sha256(data).hexdigest()

    def add_python_package(self, name: str, version: str) -> None:
        """Add a Python package."""
        self.packages.add(("pypi", name, version))

    def _add_package(self, kind: str, data: bytes, name_field: str) -> None:
        fields = BytesHeaderParser().parsebytes(data)
        if fields[name_field] and fields["Version"]:
            self.packages.add((kind, str(fields[name_field]), str(fields["Version"])))


def document(
    components: Components,
    models: Sequence[Model],
    profile: DeviceProfile,
    *,
    of: str = "packed",
    kind: str = "container",
) -> bytes:
    """Return the bill of materials as JSON; the same bytes for the same components and models.

    Args:
        of: the word for what has these components.
        kind: its type, as CycloneDX names it.
    """
    entries: list[dict[str, Any]] = [
        {"type": "application", "name": "edgesim-server", "version": __version__, "bom-ref": "edgesim-server"}
    ]
    for model in models:
        entries.append(
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
    for kind, name, version in sorted(components.packages):
        purl = f"pkg:{'deb/debian' if kind == 'deb' else kind}/{name}@{version}"
        entries.append({"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl})
    for path, digest in sorted(components.programs.items()):
        hashes = [{"alg": "SHA-256", "content": digest}]
        entries.append({"type": "file", "name": f"/{path}", "hashes": hashes, "bom-ref": f"file:/{path}"})
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": kind, "name": f"edgesim/{of} for {profile.reference}"}},
        "components": entries,
    }
    return json.dumps(bill, indent=1, sort_keys=True).encode() + b"\n"
