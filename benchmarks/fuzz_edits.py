"""A few edits to an input: bits flipped, pieces cut, doubled, moved, exchanged, words from a list put in."""

import random

WORDS = [
    word.encode()
    for word in (
        *(
            "---",
            "\n---\n",
            "::prose::",
            "::instruction#",
            "::preference#tone::",
            "### Q\n",
            "### A\n",
            "```",
            "~~~",
        ),
        *(
            "### Chosen\n",
            "<!-- dlm-auto-x",
            "-->",
            "dlm_id: ",
            "dlm_version: 1",
            "training:\n  dpo: {",
            "adapters:",
        ),
        *(
            "[" * 40,
            "{a: " * 20,
            "- " * 30,
            "&a ",
            "*a",
            "!!python/object:os.system",
            "? ",
            "|\n",
            ">-\n",
            "'",
            '"',
        ),
        *(
            "\t",
            "\r",
            "\x00",
            "\x1b[31m",
            "\u202e",
            "\ufeff",
            "\u2028",
            "\U0001f469\u200d",
            "é" * 50,
            " " * 200,
        ),
        *(
            "9" * 21,
            "9" * 400,
            "-1",
            "1e999",
            "null",
            "true",
            "../",
            "/etc/passwd",
            '{"',
            '":',
            "}}",
            "]]",
            "\\u0000",
        ),
    )
] + [b"\xff\xfe", b"\x80", b"\xed\xa0\x80", bytes(8), b"\xff" * 8, (2**62).to_bytes(8, "little")]


NUMBERS = (0, 1, 255, 2**31, 2**63 - 1, 2**64 - 1)


def mutated(seed: bytes, other: bytes, chance: random.Random) -> bytes:
    """A few edits to `seed`; `other` lends pieces."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 2, 4, 16, 64, 256))
        match chance.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = chance.choice(WORDS)
            case 4:
                begin = chance.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + length]
            case 5:
                data[at : at + length] = chance.randbytes(length)
            case 6:
                del data[at:]
            case _:
                data[at : at + 8] = chance.choice((0, 1, 255, 2**31, 2**63 - 1, 2**64 - 1)).to_bytes(
                    8, "little"
                )
    return bytes(data)
