# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one block in a flowgraph: arrays and tags in, arrays, tags and messages out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from numpy.typing import NDArray

SUFFIX = {np.dtype(np.complex64): "c", np.dtype(np.float32): "f", np.dtype(np.uint8): "b"}
#: offset, key, value
Tag = tuple[int, str, Any]


@dataclass
class Result:
    """Arrays and tags of each output, messages of each port."""

    outputs: list[NDArray] = field(default_factory=list)
    tags: list[list[Tag]] = field(default_factory=list)
    messages: dict[str, list[Any]] = field(default_factory=dict)

    def tagged(self, key: str, output: int = 0) -> list[tuple[int, Any]]:
        return [(offset, value) for offset, name, value in self.tags[output] if name == key]


class Messages(gr.basic_block):
    """Keeps every message it is sent, as Python objects."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, "messages", [], [])
        self.received: list[Any] = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.receive)

    def receive(self, message: Any) -> None:
        self.received.append(pmt.to_python(message))


class Staged(gr.sync_block):
    """A source of arrays; before each but the first, waits until `drained` says all before it is done, then acts."""

    def __init__(self, stages: Sequence[NDArray], act: Sequence[Callable[[], None]], drained: Callable[[int], bool]):
        gr.sync_block.__init__(self, "staged", [], [stages[0].dtype])
        self.stages, self.act, self.drained = list(stages), list(act), drained
        self.stage = self.position = self.total = 0

    def work(self, input_items: list, output_items: list) -> int:
        if self.position == len(self.stages[self.stage]):
            if self.stage + 1 == len(self.stages):
                return -1
            until(lambda: self.drained(self.total))
            self.act[self.stage]()
            self.stage, self.position = self.stage + 1, 0
        part = self.stages[self.stage][self.position :][: len(output_items[0])]
        output_items[0][: len(part)] = part
        self.position += len(part)
        self.total += len(part)
        return len(part)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what another thread will do; a test that waits in vain fails."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def make_tag(offset: int, key: str, value: Any) -> gr.tag_t:
    tag = gr.tag_t()
    tag.offset, tag.key = offset, pmt.intern(key)
    tag.value = value if isinstance(value, pmt.pmt_base) else pmt.to_pmt(value)
    tag.srcid = pmt.intern("test")
    return tag


def source(data: NDArray, tags: Iterable[Tag] = ()) -> Any:
    made = getattr(blocks, f"vector_source_{SUFFIX[data.dtype]}")
    return made(data.tolist(), False, 1, [make_tag(*tag) for tag in tags])


def run(
    block: Any,
    *inputs: NDArray | Any,
    tags: Iterable[Tag] | dict[int, Iterable[Tag]] = (),
    outputs: str = "f",
    vlen: int = 1,
    chunk: int | None = None,
    input_chunk: int | None = None,
    messages: Sequence[str] = (),
    post: Sequence[tuple[str, Any]] = (),
    heard: list[Any] | None = None,
) -> Result:
    """Run ``block`` until its inputs end.

    Args:
        inputs: an array per input port, or a source block.
        tags: of input 0, or by input port.
        outputs: a letter per output: c, f, b (b arrives as int8).
        vlen: of the outputs' items; they arrive one behind the other.
        chunk, input_chunk: most items a call of the block, and of what feeds it, may make.
        messages: output ports to listen to.
        post: (port, PMT) to send before the first sample.
        heard: a list that gets the messages of all ports as they come.
    """
    tb = gr.top_block()
    by_port = tags if isinstance(tags, dict) else {0: tags}
    sources = [
        source(data, by_port.get(port, ())) if isinstance(data, np.ndarray) else data
        for port, data in enumerate(inputs)
    ]
    for port, feeding in enumerate(sources):
        if input_chunk:  # a tagged vector source given this limit itself never ends
            pieces = blocks.copy(np.dtype(inputs[port].dtype).itemsize)
            pieces.set_max_noutput_items(input_chunk)
            tb.connect(feeding, pieces, (block, port))
        else:
            tb.connect(feeding, (block, port))
    if chunk:
        block.set_max_noutput_items(chunk)
        if outputs:
            block.set_max_output_buffer(4 * chunk)  # the least that the system's pages allow
    sinks = [getattr(blocks, f"vector_sink_{letter}")(vlen) for letter in outputs]
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    listeners = {port: Messages() for port in messages}
    for listener in listeners.values():
        listener.received = listener.received if heard is None else heard
    for port, listener in listeners.items():
        tb.msg_connect((block, port), (listener, "in"))
    for port, message in post:
        block.to_basic_block()._post(pmt.intern(port), message)
    tb.run()
    types = {"c": np.complex64, "f": np.float32, "b": np.int8}
    data = [np.array(sink.data()) for sink in sinks]
    data = [
        values.astype(np.uint8).view(np.int8) if letter == "b" else values.astype(types[letter])
        for values, letter in zip(data, outputs, strict=True)
    ]
    found = [
        sorted(
            ((tag.offset, pmt.symbol_to_string(tag.key), pmt.to_python(tag.value)) for tag in sink.tags()),
            key=lambda tag: tag[:2],
        )
        for sink in sinks
    ]
    return Result(data, found, {port: listener.received for port, listener in listeners.items()})
