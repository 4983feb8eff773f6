"""A64 instructions and their extensions: the words are what GNU as makes of the mnemonics beside them."""

import pytest

from edgesim.server.illegal_instruction import extension


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (0x4E829420, "asimddp"),  # sdot v0.4s, v1.16b, v2.16b
        (0x6E829420, "asimddp"),  # udot v0.4s, v1.16b, v2.16b
        (0x4F82E020, "asimddp"),  # sdot v0.4s, v1.16b, v2.4b[0]
        (0x4E82A420, "i8mm"),  # smmla v0.4s, v1.16b, v2.16b
        (0x6E42EC20, "bf16"),  # bfmmla v0.4s, v1.8h, v2.8h
        (0x4E421420, "asimdhp"),  # fadd v0.8h, v1.8h, v2.8h
        (0x4E420C20, "asimdhp"),  # fmla v0.8h, v1.8h, v2.8h
        (0x1EE22820, "fphp"),  # fadd h0, h1, h2
        (0xF8210002, "atomics"),  # ldadd x1, x2, [x0]
        (0xB8218002, "atomics"),  # swp w1, w2, [x0]
        (0xC8A17C02, "atomics"),  # cas x1, x2, [x0]
        (0x04A20020, "sve"),  # add z0.s, z1.s, z2.s
        (0x2598E3E0, "sve"),  # ptrue p0.s
    ],
)
def test_instruction_is_assigned_to_its_extension(word: int, name: str) -> None:
    assert extension(word) == name


@pytest.mark.parametrize(
    "word",
    [
        0x4E21D420,  # fadd v0.4s, v1.4s, v1.4s
        0x1E222820,  # fadd s0, s1, s2
        0x8B020020,  # add x0, x1, x2
        0xF8616802,  # ldr x2, [x0, x1]
        0xF9400001,  # ldr x1, [x0]
        0xC85F7C01,  # ldxr x1, [x0]
        0xD65F03C0,  # ret
        0x4EA19420,  # mla v0.4s, v1.4s, v1.4s
        0x4EE28420,  # add v0.2d, v1.2d, v2.2d
    ],
)
def test_instruction_of_every_core_is_in_no_extension(word: int) -> None:
    assert extension(word) is None
