"""The tree of errors in the documentation is the tree of errors in the code."""

import re

from edgesim import errors
from edgesim.errors import EdgesimError
from edgesim.measure.host_session import TooLong
from edgesim.models.session_loading import LibraryNotNamed
from edgesim.results.result_file import OtherKindOfResult

for _error in (LibraryNotNamed, OtherKindOfResult, TooLong):
    assert issubclass(_error, EdgesimError), "imported, since the tree has all errors of the package"


def tree(error: type[EdgesimError], depth: int = 0) -> set[tuple[int, str]]:
    below = (tree(child, depth + 1) for child in error.__subclasses__() if child.__module__.startswith("edgesim"))
    return {(depth, error.__name__)}.union(*below)


def test_tree_in_the_documentation_has_every_error_at_its_depth() -> None:
    lines = re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE)
    assert {(len(prefix) // 4, name) for prefix, name in lines} == tree(EdgesimError)


def test_exit_codes_in_the_documentation_are_those_of_the_errors() -> None:
    codes = re.findall(r"(\w+) +(\d+)  ", errors.__doc__ or "")
    assert {name: int(code) for name, code in codes} == {
        child.__name__: child.exit_code for child in EdgesimError.__subclasses__()
    }
