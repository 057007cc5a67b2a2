# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks that run torch have in common: chunks, threads, precision, tags, and errors that stop nothing."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from numpy.typing import NDArray

#: Room for a chunk, in items: a call into Python and torch costs some 300 us, whatever it does.
CHUNK = 16384
_MODEL, _NOISE_VAR, _PACKET_LEN, _STATUS = (pmt.intern(key) for key in ("model", "noise_var", "packet_len", "status"))


def checked_noise_var(value: Any) -> float:
    """Raises ValueError: it is no positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"noise_var is {str(value)[:60]}; it must be a real number")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"noise_var is {value:g}; it must be positive and finite (E|n|^2 of the complex noise)")
    return float(value)


def noise_var_of(message: Any) -> float:
    """Of a number, a pair (noise_var . number) or a dictionary with that key. Raises ValueError."""
    if pmt.is_pair(message) and pmt.eq(pmt.car(message), _NOISE_VAR):
        message = pmt.cdr(message)
    if pmt.is_dict(message):
        message = pmt.dict_ref(message, _NOISE_VAR, pmt.PMT_NIL)
    number = pmt.is_real(message) or pmt.is_integer(message) or pmt.is_uint64(message)
    return checked_noise_var(pmt.to_python(message) if number else str(message))


def model_of(message: Any) -> str | bytes:
    """A path or a file's bytes: of a string or u8vector, or the pair of ``model`` and one. Raises ValueError."""
    if pmt.is_pair(message) and pmt.eq(pmt.car(message), _MODEL):
        message = pmt.cdr(message)
    if pmt.is_symbol(message):  # also a string
        return str(pmt.symbol_to_string(message))
    if pmt.is_u8vector(message):
        return bytes(pmt.u8vector_elements(message))
    raise ValueError("a model is a path (string) or a file's bytes (u8vector)")


class TorchBlock(gr.basic_block):
    """Groups of ``taken`` input items become groups of ``given`` output items in torch, without gradients.

    A subclass defines :meth:`compute` and :meth:`set_model`; messages on ``model`` call that on a thread of their own.
    What it raises is logged and told on the message port ``status``, and zeros come
    out in its place. Torch computes without the interpreter lock, in ``threads`` threads.

    Args:
        module: holds the weights; ``bfloat16`` runs its layers in that type where the CPU has instructions for it.
        noise_var: until a tag or message tells another.
    """

    taken = 1
    given = 1

    def __init__(
        self,
        name: str,
        types: tuple[type, type],
        module: Any,
        noise_var: float,
        threads: int,
        bfloat16: bool,
    ) -> None:
        gr.basic_block.__init__(self, name=name, in_sig=[types[0]], out_sig=[types[1]])
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads is {threads}; it must be a whole number of at least 1")
        import torch

        self._torch, self._lock = torch, threading.Lock()
        self._module, self._noise_var = module, checked_noise_var(noise_var)
        self._threads, self._thread_of_work = threads, 0
        self._bfloat16 = bfloat16 and _has_bfloat16(torch)
        self._errors, self._next_report = 0, 0.0
        self.set_tag_propagation_policy(gr.TPP_CUSTOM)
        self.set_min_output_buffer(2 * CHUNK)
        self.message_port_register_out(_STATUS)
        self._reading, self._next_model = threading.Lock(), deque[str | bytes](maxlen=1)
        for port, handler in ((_NOISE_VAR, self._on_noise_var), (_MODEL, self._on_model)):
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)  # GNU Radio finds it by its name
        if bfloat16 and not self._bfloat16:
            self.logger.info("this CPU has no instructions for bfloat16; float32 is used")

    def compute(self, values: NDArray[Any], noise_var: NDArray[np.float32]) -> NDArray[Any]:
        """Output items of whole groups of input items; called under the lock, with the noise_var of each group."""
        raise NotImplementedError

    def set_model(self, model: Any) -> None:
        """Another module, from the next symbol on. Raises ValueError: it is none, or damaged."""
        raise NotImplementedError

    # ---- settings

    def set_noise_var(self, noise_var: float) -> None:
        """E|n|^2 of the complex noise, from the next symbol on. Raises ValueError: not positive and finite."""
        checked = checked_noise_var(noise_var)
        with self._lock:
            self._noise_var = checked

    def noise_var(self) -> float:
        """E|n|^2 that the next symbol is worked with."""
        return self._noise_var

    def bits_per_symbol(self) -> int:
        """m of the module in use."""
        return int(self._module.bits_per_symbol)

    def error_count(self) -> int:
        """Chunks so far that came out as zeros because torch raised an exception."""
        return self._errors

    def tell_rate(self, taken: int, given: int) -> None:
        """Sets how many input items become how many output items."""
        self.taken, self.given = taken, given
        self.set_relative_rate(given, taken)
        self.set_output_multiple(given)

    # ---- GNU Radio's side

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        return [self.taken] * ninputs

    def general_work(self, input_items: list[NDArray[Any]], output_items: list[NDArray[Any]]) -> int:
        with self._lock:
            groups = min(len(input_items[0]) // self.taken, len(output_items[0]) // self.given)
            groups = min(groups, max(1, CHUNK // max(self.taken, self.given)))
            if groups == 0:
                return 0
            taken, given = groups * self.taken, groups * self.given
            out = output_items[0][:given]
            noise_var = self._take_tags(taken, groups)
            try:
                self._use_threads()
                with self._torch.inference_mode(), self._torch.autocast("cpu", enabled=self._bfloat16):
                    out[:] = self.compute(input_items[0][:taken].copy(), noise_var)
            except Exception as error:  # an exception that leaves here would end the flowgraph
                out[:] = 0
                self._errors += 1
                self._report("error", f"a chunk of {groups} came out as zeros: {_sentence(error)}", seldom=True)
        self.consume(0, taken)
        return given

    def _take_tags(self, taken: int, groups: int) -> NDArray[np.float32]:
        """Moves the tags of a chunk to the output; gives the noise variance of each group."""
        first = self.nitems_read(0)
        noise_var = np.full(groups, self._noise_var, np.float32)
        for tag in sorted(self.get_tags_in_window(0, 0, taken), key=lambda tag: tag.offset):
            place = (tag.offset - first) // self.taken
            if pmt.eq(tag.key, _NOISE_VAR):
                try:
                    self._noise_var = noise_var_of(tag.value)
                    noise_var[place:] = self._noise_var
                except ValueError as error:
                    self._report("warning", f"tag at item {tag.offset} ignored: {error}", seldom=True)
            value = tag.value
            if pmt.eq(tag.key, _PACKET_LEN) and (pmt.is_integer(value) or pmt.is_uint64(value)):
                value = pmt.from_long(pmt.to_python(value) * self.given // self.taken)
            self.add_item_tag(0, self.nitems_written(0) + place * self.given, tag.key, value, tag.srcid)
        return noise_var

    def _use_threads(self) -> None:
        # The number of OpenMP is one of each thread that calls torch, and GNU Radio gives a block its own.
        if self._thread_of_work != threading.get_ident():
            self._thread_of_work = threading.get_ident()
            self._torch.set_num_threads(self._threads)

    # ---- reports

    def _on_noise_var(self, message: Any) -> None:
        try:
            self.set_noise_var(noise_var_of(message))
        except Exception as error:  # an exception that leaves here would silence the block
            self._report("warning", f"message ignored: {_sentence(error)}")

    def _on_model(self, message: Any) -> None:
        try:
            self._next_model.append(model_of(message))
            threading.Thread(target=self._read_model, name="model", daemon=True).start()
        except Exception as error:
            self._report("warning", f"message ignored: {_sentence(error)}")

    def _read_model(self) -> None:
        with self._reading:  # of models that came meanwhile, the latest
            if not self._next_model:
                return
            try:
                self.set_model(self._next_model.pop())
                self._report("info", f"a model of {self.bits_per_symbol()} bits a symbol is in use")
            except Exception as error:
                self._report("warning", f"message ignored: {_sentence(error)}")

    def _report(self, severity: str, reason: str, *, seldom: bool = False, **fields: int) -> None:
        """One log line and one status message; ``seldom`` ones at most once a second."""
        if seldom:
            now = time.monotonic()
            if now < self._next_report:
                return
            self._next_report = now + 1.0
        getattr(self.logger, {"warning": "warn"}.get(severity, severity))(reason)
        told = {"block": self.alias(), "severity": severity, "reason": reason, **fields}
        message = pmt.make_dict()
        for key, value in told.items():
            made = pmt.from_long(value) if isinstance(value, int) else pmt.intern(value)
            message = pmt.dict_add(message, pmt.intern(key), made)
        self.message_port_pub(_STATUS, message)


def _sentence(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _has_bfloat16(torch: Any) -> bool:
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False
