"""The manifests for Kubernetes: what `kubectl apply -k` would send is what the API takes."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
from ruamel.yaml import YAML

from edgesim.cli.main import app

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZED = sorted(
    path.parent.name for path in DEPLOY.glob("*/kustomization.yaml") if "engine-" not in path.parent.name
)
# From the first version whose sidecars are on by default to the newest that the package knows.
VERSIONS = ("1.29", "1.33", "1.37")


def built(name: str) -> list[dict[str, Any]]:
    """Return the documents of a directory as Kustomize builds them."""
    # The project does not install it: the one in Debian 12 (1.20) is older than what these directories are written for.
    kubectl = shutil.which("kubectl") or pytest.skip("kubectl builds the manifests: it is not installed")
    done = subprocess.run([kubectl, "kustomize", DEPLOY / name], capture_output=True, text=True, check=True)
    return list(YAML(typ="safe").load_all(done.stdout))


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = document["spec"]["template"]["spec"]
    return spec


def worker_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (workers,) = [pod_of(each) for each in documents if each["metadata"]["name"] in ("workers", "gate")]
    return workers


@pytest.mark.parametrize("name", KUSTOMIZED)
def test_api_takes_every_manifest(name: str) -> None:
    documents = built(name)
    assert documents
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(
    "path", [*sorted(DEPLOY.glob("base/[!k]*.yaml")), DEPLOY / "gate" / "job.yaml"], ids=lambda p: p.stem
)
def test_api_takes_every_file_by_itself(path: Path) -> None:
    for document in YAML(typ="safe").load_all(path.read_text()):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_pods_without_an_engine_have_no_privilege() -> None:
    for document in built("base"):
        if document["kind"] == "Deployment":
            for container in pod_of(document)["containers"]:
                assert container["securityContext"]["runAsNonRoot"]
                assert container["securityContext"]["readOnlyRootFilesystem"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(("name", "user"), [("privileged", 0), ("rootless", 1000), ("gate", 0)])
def test_engine_is_a_sidecar_whose_keys_the_container_beside_it_reads(name: str, user: int) -> None:
    pod = worker_of(built(name))
    (engine,) = [container for container in pod["initContainers"] if container["name"] == "engine"]
    (edgesim,) = pod["containers"]
    assert engine["restartPolicy"] == "Always"
    assert engine["securityContext"]["runAsUser"] == edgesim["securityContext"]["runAsUser"] == user
    assert {mount["name"] for mount in edgesim["volumeMounts"]} >= {"certs", "cache"}
    environment = {each["name"]: each.get("value") for each in edgesim["env"]}
    assert environment["DOCKER_HOST"] == "tcp://$(POD_IP):2376"
    assert list(environment).index("POD_IP") < list(environment).index("DOCKER_HOST"), "it is set before it is used"


def test_workers_declare_what_doctor_finds_and_find_the_scheduler() -> None:
    documents = built("base")
    command = worker_of(documents)["containers"][0]["command"][-1]
    assert command == "exec $(edgesim doctor --worker tcp://scheduler:8786)"
    (service,) = [each for each in documents if each["kind"] == "Service"]
    assert service["metadata"]["name"] == "scheduler"
    assert 8786 in [port["port"] for port in service["spec"]["ports"]]


def test_edgesim_takes_the_words_of_the_gate() -> None:
    words = worker_of(built("gate"))["containers"][0]["args"]
    command = typer.main.get_command(app)
    with command.make_context("edgesim", list(words)) as context:
        name, gate, rest = command.resolve_command(context, list(words))  # type: ignore[attr-defined]
        assert name == "gate"
        assert gate.make_context("gate", rest).params["junit"] == Path("gate.xml")
