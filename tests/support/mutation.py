"""Mutations of good files: changes of the parsed document, of words in its text, and of its bytes.

All functions take a `random.Random`, so that a seed gives the same mutations.
"""

import base64
import copy
import json
import math
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message

_DEEP: Any = None
for _ in range(400):
    _DEEP = [_DEEP]

# What readers stumble over: types, ranges, encodings, sizes, and names that lead somewhere or print something.
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, -(2**31), 2**63, 2**64, -(2**63) - 1, 10**30, int("9" * 5000, 16), 0.5, -0.0),
    *(1e308, -1e308, 1e-320, math.inf, -math.inf, math.nan),
    *("", " ", "x", "null", "nan", "1e999", "-1", "9" * 5000, "9" * 400 + " GiB", "1e400 GB", "-5 GiB", "12 parsecs"),
    *("\x1b[2J\x1b[31mred", "a\nb", "a\r\n::error::x", "\u202ecod.exe", "\x00", "\x7f\x9b31m", "\ud800", "\ufeff"),
    *("../../../etc/passwd", "/dev/zero", "~root", "a" * 300, "A" * 100_000, "²", "٣", "%s%n{0}{x}", "$(id)", "=1+1"),
    *("<script>alert(1)</script>", "| a | b |", "`qps`", "[bold]x[/]", "##[error]x"),
    *([], {}, [[]], [None], {"": None}, {"x": 1}, [0] * 1000, _DEEP),
)
# Words of YAML that no other document can say.
YAML_WORDS = (
    *("*undefined", "&a [*a]", "&b {k: *b}", "!!python/object/apply:os.system [id]", "!!binary x", "!!set {a, b}"),
    *("!!timestamp 2001-99-99", "2001-99-99", "2001-01-01T99:99:99Z", "!!int x", "!!float x", "!!null x", "!t x"),
    *("1:99:99:99", "0o9", "0x", "0b2", ".inf", "-.inf", ".nan", "1_0", "<<", "? [a, b]", "{<<: [1, 2]}", "{<<: *x}"),
    *("{a: 1, a: 2}", "|", ">-", "%TAG", "---", "...", "\t", "[" * 300, "{a: " * 300, "- " * 300, "!!omap [1]"),
    "[&x1 [a,a,a,a,a,a,a,a,a],&x2 [*x1,*x1,*x1,*x1,*x1,*x1,*x1,*x1,*x1],&x3 [*x2,*x2,*x2,*x2,*x2,*x2,*x2,*x2,*x2],"
    "&x4 [*x3,*x3,*x3,*x3,*x3,*x3,*x3,*x3,*x3],&x5 [*x4,*x4,*x4,*x4,*x4,*x4,*x4,*x4,*x4],&x6 [*x5,*x5,*x5,*x5,*x5],"
    "&x7 [*x6,*x6,*x6,*x6,*x6,*x6,*x6,*x6,*x6],&x8 [*x7,*x7,*x7,*x7,*x7,*x7,*x7,*x7,*x7],&x9 [*x8,*x8,*x8,*x8,*x8]]",
    "[&m1 {a: 1, b: 2},&m2 {<<: [*m1,*m1,*m1,*m1,*m1,*m1,*m1,*m1,*m1]},&m3 {<<: [*m2,*m2,*m2,*m2,*m2,*m2,*m2,*m2]},"
    "&m4 {<<: [*m3,*m3,*m3,*m3,*m3,*m3,*m3,*m3]},&m5 {<<: [*m4,*m4,*m4,*m4,*m4,*m4]},{<<: [*m5,*m5,*m5,*m5,*m5]}]",
)
_BYTES = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"\r",
    b"\n",
    b'"',
    b"{",
)


def of_bytes(generator: random.Random, content: bytes) -> bytes:
    """Return bytes with some flipped, cut, repeated, inserted or exchanged."""
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        at, length = generator.randrange(len(changed)), generator.choice((1, 2, 4, 16, 64, 1024))
        kind = generator.randrange(7)
        if kind == 0:
            changed[at] = generator.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << generator.randrange(8)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * generator.choice((1, 2, 50))
        elif kind == 4:
            changed[at:at] = generator.choice(_BYTES)
        elif kind == 5:
            del changed[at:]
        else:
            source = generator.randrange(len(changed))
            changed[at : at + length] = changed[source : source + length]
    return bytes(changed)


def of_compressed(generator: random.Random, text: str, header_bytes: int) -> str:
    """Return base64 of a header and of what zlib compressed, with the bytes changed before they are compressed."""
    encoded = base64.b64decode(text)
    payload = bytearray(zlib.decompress(encoded[header_bytes:]))
    if generator.random() < 0.5:
        payload[:] = of_bytes(generator, bytes(payload))
    else:
        at = generator.randrange(len(payload))
        payload[at : at + 8] = generator.choice((b"\xff", b"\x7f", b"\0", b"\x80")) * generator.choice((1, 4, 8))
    if generator.random() < 0.02:
        payload += bytes(2**25)
    return base64.b64encode(encoded[:header_bytes] + zlib.compress(bytes(payload))).decode()


def of_text(generator: random.Random, text: str, words: Sequence[str]) -> str:
    """Return text with a word of it exchanged for one of `words`, another of its own words, or a nasty value."""
    own = list(re.finditer(r"[^\s:,\[\]{}\"']+", text))
    for _ in range(generator.choice((1, 1, 2, 3))):
        if not own:
            break
        match = generator.choice(own)
        kind = generator.random()
        if kind < 0.5:
            new = generator.choice(words)
        elif kind < 0.7:
            new = generator.choice(own)[0]
        else:
            new = str(generator.choice([value for value in NASTY if isinstance(value, str | float)]))
        if match.end() <= len(text):
            text = text[: match.start()] + new + text[match.end() :]
    return text


def of_lines(generator: random.Random, text: str) -> str:
    """Return text with lines removed, repeated, exchanged or indented."""
    lines = text.splitlines()
    for _ in range(generator.choice((1, 1, 2))):
        if not lines:
            break
        at = generator.randrange(len(lines))
        kind = generator.randrange(4)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(generator.randrange(len(lines)), lines[at])
        elif kind == 2:
            other = generator.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = generator.choice(("  ", "\t", " ")) + lines[at]
    return "\n".join(lines) + "\n"


def of_document(generator: random.Random, document: Any) -> Any:
    """Return a document of mappings, lists and values with some parts replaced, removed, added, moved or repeated."""
    document = copy.deepcopy(document)
    for _ in range(generator.choice((1, 1, 1, 2, 3, 6))):
        places = list(_places(document))
        if not places:
            return generator.choice(NASTY)
        holder, key = generator.choice(places)
        kind = generator.random()
        if kind < 0.5:
            holder[key] = copy.deepcopy(generator.choice(NASTY))
        elif kind < 0.6:
            del holder[key]
        elif kind < 0.7:
            other, other_key = generator.choice(places)
            holder[key] = copy.deepcopy(other[other_key])
        elif kind < 0.8 and isinstance(holder, dict):
            words = [value for value in NASTY if isinstance(value, str) and len(value) < 1000]
            holder[generator.choice(words)] = holder[key]
        elif kind < 0.9:
            holder[key] = generator.choice(([holder[key]], {"x": holder[key]}, _as_text(holder[key])))
        elif isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = holder[key] * generator.choice((-1, 0, 1e-9, 1e9, 2**40)) if holder[key] < 2**900 else -1
        elif isinstance(holder, list):
            holder[key:key] = [copy.deepcopy(holder[key]) for _ in range(generator.choice((1, 50)))]
    return document


def _as_text(value: Any) -> str:
    try:
        return str(value)[:1000]
    except (ValueError, RecursionError):  # an integer of too many digits, or what is too deep
        return "x"


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a value: its mapping or list, and the key or index; only the outer part of what is deep."""
    waiting = [(document, 0)]
    while waiting:
        part, depth = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            yield part, key
            if depth < 12:
                waiting.append((part[key], depth + 1))


def as_json(document: Any) -> str:
    """Return a document as JSON, which may have NaN, lone surrogates and large numbers."""
    return _integers_as_digits(document, json.dumps)


def as_yaml(document: Any) -> str:
    """Return a document as YAML in its flow style."""
    text = _integers_as_digits(document, json.dumps)
    return re.sub(r"(?<=[\[:, ])(-?)(Infinity|NaN)\b", lambda m: m[1] + {"Infinity": ".inf", "NaN": ".nan"}[m[2]], text)


def _integers_as_digits(document: Any, dump: Callable[[Any], str]) -> str:
    """Dump a document whose integers may have more digits than Python converts."""
    return dump(_with_hexadecimal(document)).replace('"HUGE"', "9" * 6000)


def _with_hexadecimal(part: Any, depth: int = 0) -> Any:
    if isinstance(part, int) and abs(part) > 10**4000:
        return "HUGE"
    if depth > 300:
        return part
    if isinstance(part, dict):
        return {key: _with_hexadecimal(value, depth + 1) for key, value in part.items()}
    return [_with_hexadecimal(value, depth + 1) for value in part] if isinstance(part, list) else part


def of_message(generator: random.Random, message: Message) -> None:
    """Change a protocol buffer in place: fields set to nasty values, cleared, repeated, or moved."""
    for _ in range(generator.choice((1, 1, 2, 3, 6))):
        part = generator.choice(list(_messages(message)))
        field = generator.choice(part.DESCRIPTOR.fields)
        if generator.random() < 0.25:
            part.ClearField(field.name)
        elif field.message_type is not None:
            values = getattr(part, field.name)
            if not field.is_repeated:
                values.SetInParent()
            elif values:
                chosen = copy.deepcopy(generator.choice(values))
                for _ in range(generator.choice((1, 1, 40))):
                    values.append(chosen)
            else:
                values.add()
        else:
            _set(generator, part, field)


def _set(generator: random.Random, part: Message, field: Any) -> None:
    candidates = [value for value in NASTY if not isinstance(value, list | dict)]
    for _ in range(20):
        value = generator.choice(candidates)
        if field.type == field.TYPE_BYTES:
            value = str(value).encode(errors="replace") if isinstance(value, str) else b"\xff" * generator.randrange(9)
        try:
            if field.is_repeated:
                getattr(part, field.name).append(value)
                if generator.random() < 0.3:
                    getattr(part, field.name).extend([value] * 30)
            else:
                setattr(part, field.name, value)
        except (TypeError, ValueError, OverflowError):
            continue
        return


def _messages(message: Message) -> Iterator[Any]:
    waiting: list[Any] = [message]
    while waiting:
        part = waiting.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]
