# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python examples of the modem's pages run as written, each page from top to bottom."""

import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [
    "modem",
    "complexnn",
    "mimo",
    "pulse_and_channel",
    "quantized_link",
    "simulate",
]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page):
    text = (DOCS / f"{page}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    torch.manual_seed(0)
    torch._dynamo.reset()  # what other tests compiled counts towards its limit
    names: dict = {}
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec"), names)
