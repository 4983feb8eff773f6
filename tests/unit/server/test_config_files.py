"""The configuration files beside a model: errors are one line, whatever the file holds."""

from pathlib import Path

import pytest

from edgesim.server import config_files
from edgesim.server.config import ConfigError


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("config.pbtxt", "max_batch_size: 99999999999", "config.pbtxt: "),
        ("config.pbtxt", 'input { name: "x" data_type: 99 }', "x.data_type: 99; expected one of TYPE_BOOL"),
        ("config.pbtxt", 'parameters { key: "intra_op_thread_count" value { string_value: "²" } }', "a whole number"),
        ("config.pbtxt", "name: \x1b[2J\u202e", r"\x1b"),
        ("config.yaml", "max_batch_size: 2001-99-99", "line 1: a value cannot be read: month must be in 1..12"),
        ("config.yaml", "labels: &a {x: *a}", "an alias within what it stands for"),
        ("config.yaml", "max_batch_size: " + "9" * 100_000, "config.yaml: not YAML: "),
    ],
)
def test_wrong_configuration_is_refused_with_one_short_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as refused:
        config_files.read(tmp_path)
    message = str(refused.value)
    assert problem in message
    assert message.isprintable()
    assert len(message) < 600


def test_huge_configuration_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.yaml").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ConfigError, match="larger than"):
        config_files.read(tmp_path)
