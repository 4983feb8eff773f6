"""The kernels of each release of ONNX Runtime: asked of the release itself, or proven by loading models of one node.

Releases before 1.16 do not list their kernels: they get a model for each kernel of the first release that does.
"""

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, TypeProto, helper

# An attribute of each type, for attributes that an operation requires. There is none that is a graph.
_ATTRIBUTES: Mapping[str, Any] = {
    "INT": 1,
    "FLOAT": 1.0,
    "STRING": "x",
    "INTS": [1, 1],
    "FLOATS": [1.0],
    "STRINGS": ["x"],
    "TENSOR": helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]),
}
_OPEN = 2**31 - 1
_LACKING = ("Could not find an implementation", "is not a registered function/op")

# Runs in the image. A release that lists no kernels says nothing.
LIST = """
import json
from onnxruntime.capi import onnxruntime_pybind11_state as state
answer = None
if hasattr(state, "get_all_opkernel_def"):
    kernels = [(k.domain, k.op_name, *k.version_range, k.type_constraints)
               for k in state.get_all_opkernel_def() if k.provider == "CPUExecutionProvider"]
    ends = lambda side: [(end.name, end.typeStr, str(end.option)) for end in side]
    schemas = [{"domain": s.domain, "name": s.name, "since": s.since_version,
                "inputs": ends(s.inputs), "outputs": ends(s.outputs), "fewest": [s.min_input, s.min_output],
                "attributes": {n: str(a.type).rpartition(".")[2] for n, a in s.attributes.items() if a.required}}
               for s in state.get_all_operator_schema()]
    answer = {"kernels": kernels, "schemas": schemas}
print(json.dumps(answer))
"""
# Runs in the image, with a process for each model: some end it.
LOAD = """
import json, os, pathlib
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
answers = {}
for path in sorted(pathlib.Path("/models").glob("*.onnx")):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            os.write(write, str(error)[:2000].encode())
        os._exit(0)
    os.close(write)
    answers[path.stem] = os.fdopen(read).read()
    os.waitpid(child, 0)
print(json.dumps(answers))
"""


def write_models(listed: Mapping[str, Any], directory: Path) -> None:
    """Write a model of one node for each kernel, named by the kernel's number, as far as one can be made."""
    for number, (domain, name, since, _, types) in enumerate(listed["kernels"]):
        schemas = [s for s in listed["schemas"] if (s["domain"], s["name"]) == (domain, name) and s["since"] <= since]
        if not schemas:
            continue
        schema = max(schemas, key=lambda each: each["since"])
        try:
            attributes = {each: _ATTRIBUTES[kind] for each, kind in schema["attributes"].items()}
            inputs, outputs = (
                [
                    helper.make_value_info(f"{side}{n}", _type(types.get(group, types.get(end, [group]))[0]))
                    for n, (end, group, _) in enumerate(schema[side][: max(fewest, 1 if schema[side] else 0)])
                ]
                for side, fewest in zip(("inputs", "outputs"), schema["fewest"], strict=True)
            )
        except KeyError:  # a graph, a map, or a type that depends on something else
            continue
        node = helper.make_node(name, [v.name for v in inputs], [v.name for v in outputs], domain=domain, **attributes)
        opsets = [helper.make_opsetid("", 13 if domain else since)]
        opsets += [helper.make_opsetid(domain, since)] if domain else []
        graph = helper.make_graph([node], "g", inputs, outputs)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=7)
        (directory / f"{number:05}.onnx").write_bytes(model.SerializeToString())


def lacking(answers: Mapping[str, str]) -> set[int]:
    """Return the numbers of the kernels that a release has not; one that cannot be told counts as there."""
    return {int(number) for number, words in answers.items() if any(each in words for each in _LACKING)}


def document(listed: Mapping[str, Mapping[str, Any] | None], lacks: Mapping[str, Collection[int]]) -> str:
    """Return the text of ``edgesim/models/runtime_kernels.json``.

    Args:
        listed: kernels and schemas by release, oldest first; None for releases that do not list them.
        lacks: by each of the latter, numbers of kernels of the first release that lists them.
    """
    known = {release: answer for release, answer in listed.items() if answer is not None}
    oldest = next(iter(known))
    has: dict[str, set[str]] = {}
    for release in listed:
        answer = known.get(release)
        kernels = answer["kernels"] if answer is not None else known[oldest]["kernels"]
        missing = lacks.get(release, ())
        has[release] = {json.dumps(kernel, sort_keys=True) for n, kernel in enumerate(kernels) if n not in missing}
    type_sets: dict[str, int] = {}
    rows: dict[str, list[list[Any]]] = {}
    for text in sorted(set(itertools.chain(*has.values()))):
        domain, name, since, last, types = json.loads(text)
        releases = [release for release in has if text in has[release]]
        later = list(has)[list(has).index(releases[-1]) + 1 :]
        sets = {
            group: type_sets.setdefault(" ".join(sorted(map(_plain, kinds))), len(type_sets))
            for group, kinds in types.items()
        }
        row = [since, last if last != _OPEN else None, sets, releases[0], later[0] if later else None]
        rows.setdefault(f"{domain}.{name}" if domain else name, []).append(row)
    newest = list(known.values())[-1]
    signatures = {
        f"{s['domain']}.{s['name']}": [
            [[end, group] for end, group, option in s[side] if "Variadic" not in option]
            for side in ("inputs", "outputs")
        ]
        for s in newest["schemas"]
        if s["domain"].startswith("com.microsoft") and f"{s['domain']}.{s['name']}" in rows
    }
    blocks = [
        _block("types", "[", [json.dumps(words) for words in type_sets], "]"),
        _block("kernels", "{", [f"{json.dumps(name)}: {_compact(of)}" for name, of in sorted(rows.items())], "}"),
        _block(
            "signatures",
            "{",
            [f"{json.dumps(name)}: {_compact(ends)}" for name, ends in sorted(signatures.items())],
            "}",
        ),
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _block(name: str, opening: str, lines: Sequence[str], closing: str) -> str:
    return f'"{name}": {opening}\n' + ",\n".join(lines) + f"\n{closing}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _plain(kind: str) -> str:
    return kind.removeprefix("tensor(").removesuffix(")") if kind.startswith("tensor(") else kind.replace(" ", "")


def _type(text: str) -> TypeProto:
    """Return a type by ONNX's words for it; raises KeyError for one that is no tensor, sequence or optional."""
    kind, _, inner = text.partition("(")
    inner = inner.removesuffix(")")
    if kind == "tensor":
        return helper.make_tensor_type_proto(dict(TensorProto.DataType.items())[inner.upper()], None)
    if kind == "seq":
        return helper.make_sequence_type_proto(_type(inner))
    if kind == "optional":
        return helper.make_optional_type_proto(_type(inner))
    raise KeyError(text)
