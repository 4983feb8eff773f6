"""Run a model in the release of ONNX Runtime that this process finds: a program of its own, which imports numpy alone.

`edgesim.measure.release_reference` starts it with the packages of one release on its path. Python 3.9 is enough.
"""

import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

Requests = Sequence[Mapping[str, Any]]


def main(model: str, threads: str) -> None:
    """Load a model and say so; then read the names of two files a line, and write the answers to one into the other."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no base class but this one
        _say(failed="load", why=str(error))
        return
    names = [output.name for output in session.get_outputs()]
    _say()
    for line in sys.stdin:
        requests, answers = json.loads(line)
        try:
            write(answers, [dict(zip(names, session.run(names, arrays))) for arrays in read(requests)])
        except Exception as error:  # as above
            _say(failed="run", why=str(error))
        else:
            _say()


def _say(**failure: str) -> None:
    """Say on a line of standard output what failed, and why; nothing if all went well."""
    sys.stdout.write(json.dumps(failure) + "\n")
    sys.stdout.flush()


def write(path: str, requests: Requests) -> None:
    """Write the arrays of each request to a file: without pickles, and with any text as a name."""
    entries: list[tuple[int, str, bool]] = []
    with zipfile.ZipFile(path, "w") as archive:
        for number, arrays in enumerate(requests):
            for name, array in arrays.items():
                # Texts become an array of fixed width: an array of objects would have to be pickled.
                has_texts, content = array.dtype == np.object_, BytesIO()
                np.save(content, array.astype(str) if has_texts else array, allow_pickle=False)
                archive.writestr(f"{len(entries)}.npy", content.getvalue())
                entries.append((number, name, has_texts))
        archive.writestr("index.json", json.dumps([len(requests), entries]))


def read(path: str) -> list[dict[str, Any]]:
    """Read what `write` has written."""
    with zipfile.ZipFile(path) as archive:
        count, entries = json.loads(archive.read("index.json"))
        requests: list[dict[str, Any]] = [{} for _ in range(count)]
        for position, (number, name, has_texts) in enumerate(entries):
            array = np.load(BytesIO(archive.read(f"{position}.npy")), allow_pickle=False)
            requests[number][name] = array.astype(object) if has_texts else array
    return requests


if __name__ == "__main__":
    main(*sys.argv[1:])
