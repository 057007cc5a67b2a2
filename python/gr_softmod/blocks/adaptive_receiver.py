# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.adaptive_receiver``: samples of a signal of which nothing is known to log-likelihood ratios."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import pmt
from gnuradio import gr

from gr_softmod.bindings import softmod_python
from gr_softmod.blocks.models import shipped_model
from gr_softmod.blocks.receiver_state import ReceiverState, State
from gr_softmod.constellation import Constellation

#: Constellations looked for unless others are named.
CANDIDATES = ("bpsk", "qpsk", "8psk", "16psk", "16apsk", "32apsk", "16qam", "32qam", "64qam", "128qam", "256qam")
AMBIGUITY = ("none", "known_word", "differential", "decoder")
#: The attached sync marker 1ACFFC1D of CCSDS 131.0-B, the word unless another is given.
CCSDS_ASM = tuple(int(bit) for bit in f"{0x1ACFFC1D:032b}")
#: Frames of the classifier whose probabilities are averaged.
_SMOOTHING = 8
#: Noise variance until the receiver says one: its symbols without lock say next to nothing.
_UNKNOWN_NOISE = 100.0


class adaptive_receiver(gr.hier_block2):
    """Samples of a signal of which nothing is known to symbols to LLRs.

    ``modulation_classifier_c`` says what class of modulation the samples have, ``blind_receiver_cc`` finds symbol rate,
    frequency and timing, and then the constellation: the candidate under which the symbols are likeliest, the
    classifier's probabilities being what is known before. So the network need not be right, and where symbols leave the
    matter open it decides. The demapper follows the constellation by stream tags.

    Args:
        sample_rate: of the input, in hertz.
        constellations: names of the candidates.
        model: ModelFile of the classifier, by path or bytes; None: the shipped "field"; "": no classifier.
        ambiguity: how the turn of the carrier's phase that the constellation hides is found: "none": not at all;
            "differential": bits are coded as turns from symbol to symbol (PSK candidates alone); "known_word": by
            ``word``; "decoder": by messages on ``decoded``.
        word: bits, 0 or 1, that are sent from the beginning of a symbol on, 4 symbols or more of every
            candidate; none: the 32 bits 1ACFFC1D of CCSDS. For "known_word" alone.
        hold: symbols that wait at most for the word.
        dwell: symbols after which the next turn is tried, unless the decoder had a success; 0: only failures do that.
        excess_bandwidth: roll-off of the root raised cosine pulse, in (0, 1].
        symbol_rates: lowest and highest one to look for, in hertz; 0 for the highest: 0.8 of the sample rate.
        min_confidence: least probability of a class that counts, by the network's mean over 8 frames.
        agreeing: reports in a row that must name a class, and searches that must name a constellation.
        timing_bandwidth, carrier_bandwidth: noise bandwidths of the loops over the symbol rate.
        length: samples that an estimate of the symbol rate looks at, a power of two from 4096 to 2^20.
        window: symbols that a search for the constellation looks at, a power of two from 256 to 8192.
        method: of demapping, "exact" or "maxlog".
    Outputs:
        0: LLRs ln P(1)/P(0) (float), as many a symbol as the constellation has bits; 1: symbols (complex, E|s|^2 = 1).
        Tags on both: ``constellation``, ``locked``, ``noise_var``, ``symbol_rate``, ``center``, ``sample_index``.
    Messages:
        ``state``: a dictionary whenever the state changes, see :class:`State`; ``classification``, ``estimate``,
        ``status``: of the blocks within. In: ``model``, for another classifier; ``decoded``.
    Raises:
        ValueError: a parameter is out of its range, or the model is refused.
    """

    def __init__(
        self,
        sample_rate: float,
        constellations: Sequence[str] = CANDIDATES,
        model: str | os.PathLike[str] | bytes | None = None,
        ambiguity: str = "none",
        *,
        word: Sequence[int] = (),
        hold: int = 8192,
        dwell: int = 0,
        excess_bandwidth: float = 0.35,
        symbol_rates: tuple[float, float] = (0.0, 0.0),
        min_confidence: float = 0.5,
        agreeing: int = 2,
        timing_bandwidth: float = 0.002,
        carrier_bandwidth: float = 0.01,
        length: int = 16384,
        window: int = 1024,
        method: str = "exact",
    ) -> None:
        gr.hier_block2.__init__(
            self,
            "softmod_adaptive_receiver",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature.makev(2, 2, [gr.sizeof_float, gr.sizeof_gr_complex]),
        )
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ValueError(f"sample_rate is {sample_rate:g}; it must be positive and finite")
        if ambiguity not in AMBIGUITY:
            raise ValueError(f"ambiguity is {ambiguity!r}; it must be one of {', '.join(AMBIGUITY)}")
        names = tuple(constellations)
        if not names:
            raise ValueError("constellations are empty; there must be at least one candidate")
        first = Constellation.from_name(names[0]).points
        state = ReceiverState(names, agreeing, min_confidence)
        for port in ("state", "status", "classification", "estimate"):
            self.message_port_register_hier_out(port)
        self.message_port_register_hier_in("model")

        self.finite = softmod_python.finite_cc(1)
        self.blind = softmod_python.blind_receiver_cc(
            names,
            sample_rate,
            excess_bandwidth,
            *symbol_rates,
            timing_bandwidth,
            carrier_bandwidth,
            length,
            window,
            agreeing=agreeing,
        )
        if ambiguity == "differential":
            self.demapper = softmod_python.differential_demapper_cf(first, _UNKNOWN_NOISE)
        else:
            self.demapper = softmod_python.soft_demapper_cf(first, _UNKNOWN_NOISE, method)
        self.control = _control(state)
        symbols = self.blind
        self.message_port_register_hier_in("decoded")
        if ambiguity in ("known_word", "decoder"):
            bits = (list(word) or list(CCSDS_ASM)) if ambiguity == "known_word" else []
            for name in names:
                _check_word(name, bits)
            symbols = self.phase = softmod_python.phase_resolver_cc(names[0], bits, hold, dwell)
            self.connect(self.blind, self.phase)
            self.msg_connect(self, "decoded", self.phase, "decoded")
            self.msg_connect(self.phase, "status", self, "status")
        self.connect(self, self.finite, self.blind)
        self.connect(symbols, self.demapper, self)
        self.connect(symbols, (self, 1))
        self.msg_connect(self.control, "log_priors", self.blind, "log_priors")
        self.msg_connect(self.control, "state", self, "state")
        self.msg_connect(self.blind, "estimate", self, "estimate")
        for block in (self.blind, self.demapper):
            self.msg_connect(block, "status", self, "status")
        for port in ("estimate", "status"):
            self.msg_connect(self.blind, port, self.control, port)

        self.classifier: Any = None
        if model != "":
            model = shipped_model("field") if model is None else model
            self.classifier = softmod_python.modulation_classifier_c(
                model, smoothing=_SMOOTHING, report_period=_SMOOTHING // 2, sample_rate=sample_rate
            )
            self.connect(self.finite, self.classifier)
            self.listener = _listener(self.control)
            for port in ("classification", "status"):
                self.msg_connect(self.classifier, port, self.listener, port)
            self.msg_connect(self, "model", self.classifier, "model")
            self.msg_connect(self.classifier, "classification", self, "classification")
            self.msg_connect(self.control, "status", self, "status")

    def state(self) -> State:
        """What is known and done now."""
        return self.control.state.now

    def locked(self) -> bool:
        """Whether the carrier of a signal is found."""
        return self.blind.locked()

    def constellation(self) -> str:
        """Name of the latest constellation; empty before the first."""
        return self.blind.constellation()


def _check_word(name: str, word: Sequence[int]) -> None:
    bits = Constellation.from_name(name).bits_per_symbol
    if len(word) and len(word) < 4 * bits:
        raise ValueError(f"the word has {len(word)} bits; 4 symbols of {name} have {4 * bits}")


class _control(gr.basic_block):
    """Keeps the state: messages of the receiver in, states and priors out.

    A block of messages ends with the first of its publishers that ends, so the receiver, which is the last one, is the
    only one; the classifier has a listener of its own.
    """

    def __init__(self, state: ReceiverState) -> None:
        gr.basic_block.__init__(self, "adaptive_receiver", None, None)
        self.state = state
        self._lock = Lock()
        for port in ("log_priors", "state", "status"):
            self.message_port_register_out(pmt.intern(port))
        # GNU Radio calls handlers by their names.
        for port, handler in (("estimate", self.take_estimate), ("status", self.take_status)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def take_classification(self, message: Any) -> None:
        self._guarded(self._classified, message)

    def take_estimate(self, message: Any) -> None:
        self._guarded(self._estimated, message)

    def take_status(self, message: Any) -> None:
        self._guarded(self._reported, message)

    def _guarded(self, handler: Callable[[dict[str, Any]], None], message: Any) -> None:
        """A message that is none of ours is logged: an exception would end the block's thread."""
        try:
            with self._lock:
                handler(pmt.to_python(message))
        except Exception as error:
            gr.log.warn(f"adaptive_receiver: message ignored: {type(error).__name__}: {error}")

    def _classified(self, report: dict[str, Any]) -> None:
        probabilities = dict(zip(report["class_names"], map(float, report["probabilities"]), strict=True))
        self._tell(self.state.classified(report["class"], report["probability"], report["sample_index"]))
        priors = self.state.log_priors(probabilities)
        self.message_port_pub(pmt.intern("log_priors"), _dictionary(priors))

    def _estimated(self, look: dict[str, Any]) -> None:
        self.state.estimated(look["snr_db"], look["symbol_rate"])

    def _reported(self, report: dict[str, Any]) -> None:
        self._tell(self.state.reported(report))

    def _tell(self, state: State | None) -> None:
        if state is not None:
            self.message_port_pub(pmt.intern("state"), _dictionary(state.as_dict()))


class _listener(gr.basic_block):
    """Hands the classifier's messages to the control."""

    def __init__(self, control: _control) -> None:
        gr.basic_block.__init__(self, "adaptive_receiver_listener", None, None)
        self._control = control
        for port, handler in (("classification", self.take_classification), ("status", self.take_status)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def take_classification(self, message: Any) -> None:
        self._control.take_classification(message)

    def take_status(self, message: Any) -> None:
        self._control.message_port_pub(pmt.intern("status"), message)


def _dictionary(values: dict[str, Any]) -> Any:
    made = pmt.make_dict()
    for key, value in values.items():
        if isinstance(value, str):
            entry = pmt.intern(value)
        elif isinstance(value, int):
            entry = pmt.from_uint64(value)
        else:
            entry = pmt.from_double(value)
        made = pmt.dict_add(made, pmt.intern(key), entry)
    return made
