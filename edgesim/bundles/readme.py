"""The page in a bundle that says what the bundle is, and how to run what is in it with Docker alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

from edgesim.bundles.manifest import IMAGES, MODELS, ServingImage


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the page says of the run.

    Attributes:
        board: the board's name in words, with its power mode.
        validity: whether the run can be trusted, in words.
    """

    edgesim_version: str
    created: str
    execution: str
    board: str
    model: str
    version: str
    sha256: str
    validity: str


def render(facts: Facts, images: Sequence[ServingImage], architecture: str) -> bytes:
    """Return the page as Markdown.

    Args:
        images: those of the run; the one for the board's `architecture` is run.
    """
    text = dedent(
        f"""\
        # {facts.model} on {facts.board}

        A bundle of edgesim {facts.edgesim_version}: everything that one benchmark was made from, and its result.

        - Made: {facts.created}, {facts.execution}
        - Model: {facts.model}, version {facts.version}, SHA-256 {facts.sha256}
        - Board: {facts.board}
        - Validity: {facts.validity}

        | file | contents |
        |---|---|
        | `manifest.json` | the digest of every file; the board's facts, the model's name and the options of the run |
        | `result.json` | the result: `edgesim report result.json` |
        | `models/` | the model repository, with the weights and the inputs that come with the model |
        | `inputs/` | the inputs that the user named, if there are any |
        | `images/` | the container images as an OCI layout, if the bundle was made `--with-image` |
        | `environment.json` | edgesim's version and Python packages, with digests |
        | `sbom.cdx.json` | the bill of materials, CycloneDX 1.5 |

        ## Run the same again

        `edgesim replay FILE` checks every digest, runs the same again and compares both results. It needs no network
        where the bundle has the images, and a Docker Engine with an emulator where the board has another architecture.
        """
    )
    return (text + "\n" + _with_docker(facts, images, architecture)).encode()


def _with_docker(facts: Facts, images: Sequence[ServingImage], architecture: str) -> str:
    heading = "## Serve the model with Docker alone\n\n"
    image = next((each for each in images if each.architecture == architecture), None)
    if image is None:
        return heading + "The run used no container: `edgesim pack` makes an image of the model.\n"
    load = (
        f"tar -C {IMAGES} -cf - . | docker load"
        if image.name is not None
        else f"# the bundle does not contain the image: {image.reference}, {image.id}"
    )
    return heading + (
        f"The image is for linux/{architecture}; on another architecture Docker needs an emulator.\n\n"
        "```sh\n"
        "tar -xf FILE\n"
        f"{load}\n"
        f'docker run --rm --platform linux/{architecture} -p 8000:8000 -v "$PWD/{MODELS}:/models:ro" '
        f"{image.name or image.reference}\n"
        f"curl http://localhost:8000/v2/models/{facts.model}\n"
        "```\n"
    )
