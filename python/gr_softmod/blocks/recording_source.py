# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.recording_source``: a file of samples as a stream, with what its metadata says as tags.

In Python at sample rate because numpy decodes all twenty-odd sample types in a few lines, and as fast as the in-tree
chain does the few it knows: each call moves thousands of samples, decoded straight into the output buffer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_softmod.recording import Recording

#: Samples a call moves at most: many, because a call of a Python block costs about 100 us, but within the cache.
_CHUNK_SAMPLES = 1 << 15


class recording_source(gr.sync_block):
    """The samples of a recording.

    Args:
        recording: from ``gr_softmod.recording.open_recording``.
        repeat: begin again at the end; the tags come again too.
    Tags:
        ``rx_rate``, ``rx_freq``, ``rx_time`` and ``annotation``, as ``iq_source`` describes them.
    """

    def __init__(self, recording: Recording, repeat: bool = False) -> None:
        gr.sync_block.__init__(self, "softmod.recording_source", None, [np.complex64])
        self.set_min_output_buffer(2 * _CHUNK_SAMPLES)
        self.error: OSError | None = None
        self._recording = recording
        self._repeat = repeat
        self._file = recording.path.open("rb", buffering=0)
        self._buffer = memoryview(bytearray(_CHUNK_SAMPLES * recording.datatype.sample_bytes))
        self._tags = [(tag.sample, pmt.intern(tag.key), _pmt_value(tag.key, tag.value)) for tag in recording.tags]
        self._tags.insert(0, (0, pmt.intern("rx_rate"), pmt.from_double(recording.sample_rate)))
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(self._recording.first_byte)
        self._sample = self._next_tag = 0

    def stop(self) -> bool:
        self._file.close()
        return True

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        # An exception here would leave the flowgraph waiting for ever: the error is kept and the stream ends.
        try:
            return self._produce(output_items[0])
        except OSError as error:
            self.error = error
            gr.log.error(f"softmod.recording_source: {error}")
            return -1

    def _produce(self, output: np.ndarray) -> int:
        recording = self._recording
        if self._sample == recording.samples and self._repeat:
            self._rewind()
        count = min(len(output), recording.samples - self._sample, _CHUNK_SAMPLES)
        if count == 0:
            return -1
        data = self._buffer[: count * recording.datatype.sample_bytes]
        if self._file.readinto(data) != len(data):
            raise OSError(f"{recording.path.name} became shorter while it was read")
        recording.datatype.decode(data, output)
        written = self.nitems_written(0)
        while self._next_tag < len(self._tags) and self._tags[self._next_tag][0] < self._sample + count:
            at, key, value = self._tags[self._next_tag]
            self.add_item_tag(0, written + at - self._sample, key, value)
            self._next_tag += 1
        self._sample += count
        return count


def _pmt_value(key: str, value: Any) -> pmt.pmt_base:
    if key == "rx_freq":
        return pmt.from_double(float(value))
    if key == "rx_time":
        seconds, fraction = unix_time(value)
        return pmt.make_tuple(pmt.from_uint64(seconds), pmt.from_double(fraction))
    return pmt.to_pmt(value)


def unix_time(iso: str) -> tuple[int, float]:
    """Whole seconds since 1970 and the fraction (of any number of digits) of an ISO 8601 time in UTC."""
    whole, _, fraction = iso.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return int(moment.timestamp()), float(f"0.{fraction or 0}")
