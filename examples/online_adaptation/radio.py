# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's flowgraph: two demappers and two classifiers on the same samples, one of each adapted as it runs.

    python radio.py SETTINGS HOST:PORT

From the rtl_tcp server at HOST:PORT to bits and modulations; the taps send what is known to those who train, and the
updaters bring what they have learnt. Ends with the signal.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import link
import numpy as np
import pmt
from frames import Frames
from gnuradio import filter as gr_filter
from gnuradio import gr, softmod
from score import ADAPTED, FIXED, SIDES, Score
from settings import Settings

BITS = 4  # of a symbol of link.MAIN


class FrameBlock(gr.basic_block):
    """Samples behind the matched filter to the payload symbols of 16-QAM frames.

    A tag ``frame`` (number) stands on the first symbol of each. Messages tell the taps what is known: ``known_bits`` of
    training frames, and for every frame that may teach the classifier ``label`` and ``cut``.
    """

    def __init__(self, score: Score) -> None:
        gr.basic_block.__init__(self, "frames", [np.complex64], [np.complex64])
        self._frames, self._score = Frames(), score
        self._pending: list[tuple[int, np.ndarray]] = []
        self._made = 0  # symbols put out and waiting
        for port in ("known_bits", "label", "cut"):
            self.message_port_register_out(pmt.intern(port))

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        return [1] * ninputs

    def general_work(self, input_items: list[Any], output_items: list[Any]) -> int:
        room, done = len(output_items[0]), 0
        while self._pending and done + link.PAYLOAD <= room:
            number, payload = self._pending.pop(0)
            output_items[0][done : done + link.PAYLOAD] = payload
            self.add_item_tag(0, self.nitems_written(0) + done, pmt.intern("frame"), pmt.from_uint64(number))
            done += link.PAYLOAD
        if not self._pending:
            for frame in self._frames.push(input_items[0].copy()):
                self._found(frame)
            self.consume(0, len(input_items[0]))
        return done

    def _found(self, frame: Any) -> None:
        self._score.frame(frame.number, frame.first)
        name = link.modulation(frame.number)
        if link.trains_classifier(frame.number):
            begin = frame.first + link.PAYLOAD_FROM
            self._say("label", modulation=name.upper(), sample_index=begin)
            self._say("label", sample_index=begin + link.PAYLOAD_SAMPLES)
            self._say("cut", sample_index=begin, length=link.PAYLOAD_SAMPLES)
        if name == link.MAIN:
            if link.is_training(frame.number):
                self._say("known_bits", sample_index=self._made, bits=link.payload_bits(frame.number))
            self._pending.append((frame.number, frame.payload))
            self._made += link.PAYLOAD

    def _say(self, port: str, **said: Any) -> None:
        message = pmt.make_dict()
        for key, value in said.items():
            if isinstance(value, np.ndarray):
                made = pmt.init_u8vector(len(value), value.tolist())
            else:
                made = pmt.from_uint64(value) if isinstance(value, int) else pmt.intern(value)
            message = pmt.dict_add(message, pmt.intern(key), made)
        self.message_port_pub(pmt.intern(port), message)


class BitSink(gr.sync_block):
    """LLRs of both demappers, a frame at a time, to the score."""

    def __init__(self, score: Score) -> None:
        gr.sync_block.__init__(self, "bit_sink", [np.float32] * len(SIDES), [])
        self._score, self._length = score, link.PAYLOAD * BITS
        self.ended = Event()
        self.set_output_multiple(self._length)

    def stop(self) -> bool:
        self.ended.set()
        return True

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        for start in range(0, len(input_items[0]), self._length):
            numbers = []
            for port in range(len(SIDES)):
                tags = self.get_tags_in_window(port, start, start + self._length, pmt.intern("frame"))
                at = [pmt.to_uint64(tag.value) for tag in tags if tag.offset == self.nitems_read(port) + start]
                self._score.misplaced += len(tags) != 1 or len(at) != 1
                numbers += at
            if len(set(numbers)) == 1:
                llrs = {side: input_items[port][start : start + self._length] for port, side in enumerate(SIDES)}
                self._score.bits(numbers[0], llrs)
        self._score.write()
        return len(input_items[0])


class Listener(gr.basic_block):
    """Classifications and status messages to the score."""

    def __init__(self, score: Score) -> None:
        gr.basic_block.__init__(self, "listener", [], [])
        self._score = score
        for side in SIDES:
            self._listen(f"classes_{side}", partial(self._classified, side))
        for port in ("demapper", "classifier", "updater"):
            self._listen(port, partial(self._told, port))

    def _listen(self, port: str, handler: Any) -> None:
        setattr(self, f"on_{port}", handler)
        handler.__name__ = f"on_{port}"
        self.message_port_register_in(pmt.intern(port))
        self.set_msg_handler(pmt.intern(port), handler)

    def _classified(self, side: str, message: Any) -> None:
        first, length = (pmt.to_uint64(pmt.dict_ref(message, pmt.intern(key), pmt.PMT_NIL))
                         for key in ("sample_index", "frame_length"))  # fmt: skip
        name = pmt.symbol_to_string(pmt.dict_ref(message, pmt.intern("class"), pmt.PMT_NIL))
        self._score.classification(side, first, length, name)

    def _told(self, who: str, message: Any) -> None:
        said = pmt.to_python(message)
        if who == "updater" and not said.get("accepted", True):
            self._score.event("refused", reason=str(said.get("reason")))
        elif who != "updater" and "hash" in said:
            self._score.event(f"{who} swapped", model=str(said["hash"])[:12])


def main() -> None:
    settings, server = Settings.read(sys.argv[1]), sys.argv[2]
    out = Path(settings.out)
    gr.logging().set_default_level(gr.log_levels.warn)
    score = Score(settings.rate, out / "score.json")
    top = gr.top_block()
    source = softmod.iq_source(f"rtl_tcp={server}", settings.rate)
    matched = gr_filter.fir_filter_ccf(1, link.PULSE.tolist())
    frames, bits, listener = FrameBlock(score), BitSink(score), Listener(score)
    security = settings.radio_keys()
    tap = softmod.training_tap(
        settings.tap, link.PAYLOAD, "message", sample_rate=settings.rate / link.SAMPLES_PER_SYMBOL,
        constellation=link.MAIN, **security,
    )  # fmt: skip
    top.connect(source, matched, frames, tap)
    top.msg_connect(frames, "known_bits", tap, "known_bits")
    updater = softmod.model_updater(
        settings.serve, "demapper", str(out / "radio"), serve=True, bits_per_symbol=BITS, **settings.updater_keys()
    )
    model = str(out / "start" / "demapper.safetensors")
    demappers = {side: softmod.neural_demapper_cf(model, settings.noise_var) for side in SIDES}
    for port, side in enumerate(SIDES):
        top.connect(frames, demappers[side], (bits, port))
    top.msg_connect(updater, "model", demappers[ADAPTED], "model")
    top.msg_connect(updater, "status", listener, "updater")
    top.msg_connect(demappers[ADAPTED], "status", listener, "demapper")
    kept: list[Any] = [updater, tap]
    if settings.classifier:
        kept += _classify(top, source, frames, listener, settings)
    top.start()
    bits.ended.wait()
    top.stop()  # the updater waits for messages and would never end by itself
    top.wait()
    produced = source.produced()
    score.write(last=True, samples=produced, ended=True)
    for block in kept:
        block.close()


def _classify(top: Any, source: Any, frames: Any, listener: Any, settings: Settings) -> list[Any]:
    """The classifiers, their tap and their updater."""
    out = Path(settings.out)
    model = str(out / "start" / "classifier.safetensors")
    classifiers = {side: softmod.modulation_classifier_c(model) for side in (FIXED, ADAPTED)}
    for side, classifier in classifiers.items():
        top.connect(source, classifier)
        top.msg_connect(classifier, "classification", listener, f"classes_{side}")
    tap = softmod.training_tap(
        settings.iq_tap, link.PAYLOAD_SAMPLES, "message", sample_rate=settings.rate, **settings.radio_keys()
    )
    top.connect(source, tap)
    for port in ("label", "cut"):
        top.msg_connect(frames, port, tap, port)
    fixed = classifiers[FIXED]
    updater = softmod.model_updater(
        settings.serve_classifier, "classifier", str(out / "radio"), serve=True, class_names=fixed.class_names(),
        frame_length=fixed.frame_length(), **settings.updater_keys(),
    )  # fmt: skip
    top.msg_connect(updater, "model", classifiers[ADAPTED], "model")
    top.msg_connect(updater, "status", listener, "updater")
    top.msg_connect(classifiers[ADAPTED], "status", listener, "classifier")
    return [tap, updater]


if __name__ == "__main__":
    main()
