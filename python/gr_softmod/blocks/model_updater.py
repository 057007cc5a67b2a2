# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.model_updater``: models from the network into a running flowgraph, when they pass every check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

import pmt
from gnuradio import gr

from gr_softmod.hooks.gate import Gate, Trial, Verdict
from gr_softmod.hooks.identity import security_of
from gr_softmod.hooks.keys import load_allowed
from gr_softmod.hooks.model_check import classifier_check, demapper_check
from gr_softmod.hooks.swap import Receiver


class model_updater(gr.basic_block):
    """Receives models (``softmod push``, ``softmod serve``), checks them and hands them on by message.

    Failing any check, the old model stays, and the reason goes to ``status`` and back to the sender.

    Args:
        address: to listen at for pushes; with ``serve`` the address of a server to ask.
        target: "classifier" or "demapper".
        folder: remembers models and the highest serial, so that an old model cannot be played again; one for each
            updater. A model of before a restart is installed again.
        serve: ask a ``softmod serve`` instead of listening.
        class_names: that a classifier must have; none: any.
        frame_length: that it must have; 0: any.
        bits_per_symbol: that a demapper must have; 0: any.
        floor, observations, seconds: of a new model's trial, see :class:`gr_softmod.hooks.gate.Trial`; floor 0: none.
        key, peers: key file of this end, and public keys of the others; see ``softmod keys``.
        signers: public keys (a file or a folder) whose models are believed; "" with ``key``: the peers'.
    Messages:
        in ``classification`` (its ``probability`` is observed), ``crc`` (a boolean: whether a frame's check sequence
        held) and ``command`` (the symbol ``rollback``); out ``model`` (the pair of ``model`` and the file's bytes) and
        ``status``.
    Raises:
        ValueError: an argument is out of its range, or the address needs keys.
        OSError: the address, the folder or a key file cannot be used.
    """

    def __init__(
        self,
        address: str = "tcp://127.0.0.1:5561",
        target: str = "classifier",
        folder: str = "models",
        serve: bool = False,
        class_names: Sequence[str] = (),
        frame_length: int = 0,
        bits_per_symbol: int = 0,
        floor: float = 0.0,
        observations: int = 100,
        seconds: float = 60.0,
        key: str = "",
        peers: str = "",
        signers: str = "",
    ) -> None:
        gr.basic_block.__init__(self, "model_updater", [], [])
        checks = {
            "classifier": classifier_check(class_names, frame_length),
            "demapper": demapper_check(bits_per_symbol),
        }
        if target not in checks:
            raise ValueError(f"target is {target!r}; it must be {' or '.join(checks)}")
        security = security_of(key, peers)
        believed = load_allowed(signers) if signers else security.allowed if security else ()
        trial = Trial(floor, observations, seconds)
        self._model, self._status = pmt.intern("model"), pmt.intern("status")
        self.gate = Gate(folder, target, checks[target], self._install, believed, trial)
        self.receiver = Receiver(self.gate, address, security, serve)
        self._stop = Event()
        self._thread: Thread | None = None
        for port in (self._model, self._status):
            self.message_port_register_out(port)
        for handler in (self.classification, self.crc, self.command):
            port = pmt.intern(handler.__name__)
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)

    def address(self) -> str:
        """Where ``softmod push`` sends."""
        return self.receiver.address

    def start(self) -> bool:
        if self.gate.current:
            self._tell(self.gate.resume())
        self._stop.clear()
        self._thread = Thread(target=self._run, name="model_updater", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return True

    def close(self) -> None:
        """Free the address; the flowgraph must have stopped."""
        self.receiver.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                verdict = self.receiver.step(0.1)
                if verdict is not None:
                    self._tell(verdict)
            except Exception as error:  # a thread that ends would say nothing more
                self._tell(Verdict(False, f"{type(error).__name__}: {error}"))
                self._stop.wait(0.1)

    def _install(self, blob: bytes) -> None:
        self.message_port_pub(self._model, pmt.cons(self._model, pmt.init_u8vector(len(blob), list(blob))))

    def _tell(self, verdict: Verdict) -> None:
        severity = "info" if verdict.accepted else "warning"
        (gr.log.info if verdict.accepted else gr.log.warn)(f"model_updater: {verdict.reason}")
        fields = {"block": self.alias(), "severity": severity, "reason": verdict.reason, "accepted": verdict.accepted}
        self.message_port_pub(self._status, pmt.to_pmt(fields | {"model": self.gate.current}))

    # Handlers, found by their names. An exception in one would silence the block for good.

    def classification(self, message: Any) -> None:
        self._do(self._observe_classification, message)

    def crc(self, message: Any) -> None:
        self._do(self._observe_crc, message)

    def command(self, message: Any) -> None:
        self._do(self._obey, message)

    def _do(self, action: Callable[[Any], Verdict | None], message: Any) -> None:
        try:
            verdict = action(message)
        except Exception as error:
            verdict = Verdict(False, f"message ignored: {error}")
        if verdict is not None:
            self._tell(verdict)

    def _observe_classification(self, message: Any) -> Verdict | None:
        said = pmt.to_python(message) if pmt.is_dict(message) else None
        value = said.get("probability") if isinstance(said, dict) else None
        return self.gate.observe(float(value)) if isinstance(value, int | float) else None

    def _observe_crc(self, message: Any) -> Verdict | None:
        return self.gate.observe(float(pmt.to_bool(message))) if pmt.is_bool(message) else None

    def _obey(self, message: Any) -> Verdict:
        if pmt.is_symbol(message) and pmt.symbol_to_string(message) == "rollback":
            return self.gate.roll_back("asked to")
        return Verdict(False, "a command that is not the symbol rollback was ignored")
