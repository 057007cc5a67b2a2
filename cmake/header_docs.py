# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes block_docs.h: the doxygen comments of the public headers as Python docstrings, so each is written once.

    python header_docs.py OUTPUT HEADER...

For a class `block` in a header, `doc_block` is its comment with the parameters and errors of its `make`, and
`doc_block_f` the comment of its method f.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

COMMENT = r"(?P<comment>/\*!(?:(?!\*/).)*\*/|(?://![^\n]*\n\s*)+)"
CLASS = re.compile(COMMENT + r"\s*class\s+SOFTMOD_API\s+(?P<name>\w+)[^{;]*\{", re.S)
METHOD = re.compile(COMMENT + r"\s*(?P<kind>virtual|static)\s[^;(]*?\b(?P<name>\w+)\(", re.S)
MARK = re.compile(r"\s*\\(param|throws|brief|ingroup|copydetails)\b *")


def text_of(comment: str) -> str:
    """A comment without its stars and slashes."""
    if comment.startswith("//!"):
        lines = [line.strip().removeprefix("//!") for line in comment.strip().splitlines()]
        return textwrap.dedent("\n".join(line[1:] if line.startswith(" ") else line for line in lines)).strip()
    body = comment.removeprefix("/*!").removesuffix("*/")
    lines = [re.sub(r"^\s*\*( |$)", "", line) for line in body.splitlines()]
    return "\n".join(line.rstrip() for line in lines).strip()


def docstring(text: str, details: dict[str, str]) -> str:
    r"""Doxygen's marks as sections: \param under Args, \throws std::invalid_argument as a ValueError under Raises."""
    pieces = MARK.split(text)
    body, arguments, errors = pieces[0].strip(), [], []
    for mark, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        words = " ".join(piece.split())
        if mark == "param":
            name, _, what = words.partition(" ")
            arguments.append(f"{name}: {what}")
        elif mark == "throws":
            error, _, when = words.partition(" ")
            error = {"std::invalid_argument": "ValueError"}.get(error, error)
            errors.append(f"{error}: {when or 'the value is not allowed; it stays what it was.'}")
        elif mark == "copydetails":
            body = f"{body}\n\n{details[piece.strip().split('::')[-1]]}"
        elif mark == "brief":
            body = piece.strip()
        elif mark == "ingroup":
            body = f"{body}\n\n{piece.split(None, 1)[1] if len(piece.split(None, 1)) > 1 else ''}".strip()
    for title, entries in (("Args", arguments), ("Raises", errors)):
        if entries:
            wrapped = (
                textwrap.fill(entry, 110, initial_indent="    ", subsequent_indent="        ") for entry in entries
            )
            body = f"{body}\n\n{title}:\n" + "\n".join(wrapped)
    return body.strip()


def docs_of(headers: list[Path]) -> dict[str, str]:
    """Docstring by the name it gets in block_docs.h."""
    docs: dict[str, str] = {}
    details: dict[str, str] = {}
    for header in headers:
        source = header.read_text()
        classes = list(CLASS.finditer(source))
        ends = [found.start() for found in classes[1:]] + [len(source)]
        for found, end in zip(classes, ends, strict=False):
            name = found["name"]
            text = docstring(text_of(found["comment"]), details)
            details[name] = text.partition("\n\n")[2]
            docs[name] = text
            for method in METHOD.finditer(source, found.end(), end):
                comment = docstring(text_of(method["comment"]), details)
                if method["name"] == "make":
                    docs[name] = f"{text}\n\n{comment}"
                else:
                    docs[f"{name}_{method['name']}"] = comment
    return docs


def main() -> None:
    output, *headers = map(Path, sys.argv[1:])
    lines = ["// Written by header_docs.py from the public headers.", "#pragma once", ""]
    for name, text in docs_of(sorted(headers)).items():
        lines.append(f'[[maybe_unused]] static constexpr char doc_{name}[] = R"doc({text})doc";')
    output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
