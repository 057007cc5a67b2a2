# SPDX-License-Identifier: GPL-3.0-or-later
"""What an adaptive receiver knows and is doing: a state machine of messages, without GNU Radio."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

#: Probability that a class is given at least: the network can be quite wrong, and symbols must be able to say so.
FLOOR = 0.01
#: Classes that have no symbols which a receiver of PSK and QAM could find, whatever they look like to it.
NOT_LINEAR = ("AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC", "AM-DSB-SC", "FM", "GMSK", "OQPSK")
#: The class of no signal at all.
NOISE = "noise"


@dataclass(frozen=True)
class State:
    """What is told on ``state``; None: not known.

    Attributes:
        state: "searching", "recognised" (a class or a symbol rate stands, no lock yet), "locked" or "lost".
        modulation: constellation with lock, else the class that the classification settled on.
        classification: the class that the classification settled on.
        probability: of that class, by the network.
        symbol_rate, carrier: hertz.
        snr_db: Es/N0 with lock, else over the signal's bandwidth.
        sample_index: of the input, where this began.
        in_doubt: symbols behind that were put out with a constellation that was left for this one.
    """

    state: str = "searching"
    modulation: str | None = None
    classification: str | None = None
    probability: float | None = None
    symbol_rate: float | None = None
    carrier: float | None = None
    snr_db: float | None = None
    sample_index: int = 0
    in_doubt: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Fields that are known; ``modulation`` is called ``class``."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        if "modulation" in known:
            known["class"] = known.pop("modulation")
        return known


class ReceiverState:
    """Takes the messages of classifier and receiver; each method returns the new state, or None where none began.

    The class settles when ``agreeing`` classifications in a row name the same one with at least ``min_confidence``, and
    stays until as many name another. With lock, the constellation under which the symbols are likeliest is the class.

    Args:
        candidates: names of constellations, as the receiver's.
        agreeing: at least 1.
        min_confidence: from 0 to 1.
    Raises:
        ValueError: a parameter is out of its range.
    """

    def __init__(self, candidates: Iterable[str], agreeing: int = 3, min_confidence: float = 0.5) -> None:
        if agreeing < 1:
            raise ValueError(f"agreeing is {agreeing}; it must be at least 1")
        if not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence is {min_confidence:g}; it must be from 0 to 1")
        self.candidates = tuple(candidates)
        self.now = State()
        self._agreeing, self._min_confidence = agreeing, min_confidence
        self._named: str | None = None
        self._times = 0

    # -- what the network says -----------------------------------------------------------------------------------------

    def classified(self, name: str, probability: float, sample_index: int) -> State | None:
        """A report of the classifier."""
        if probability < self._min_confidence:
            self._named, self._times = None, 0
            return None
        self._times = self._times + 1 if name == self._named else 1
        self._named = name
        if self._times < self._agreeing:
            return None
        settled = replace(self.now, classification=name, probability=probability)
        if self.now.classification == name or self.now.state == "locked":
            self.now = settled  # with lock the symbols decide
            return None
        if name == NOISE:
            return self._become(replace(State(), classification=name, probability=probability), sample_index)
        return self._become(replace(settled, state="recognised", modulation=name.lower()), sample_index)

    def log_priors(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """What the network's probabilities are to the candidates, as natural logarithms.

        None is below that of ``FLOOR``, unless the class that settled has no symbols: then all are minus infinity.
        """
        if self.now.classification in NOT_LINEAR:
            return dict.fromkeys(self.candidates, -math.inf)
        by_name = {name.lower(): value for name, value in probabilities.items()}
        return {name: math.log(min(1.0, max(FLOOR, by_name.get(name, 0.0)))) for name in self.candidates}

    # -- what the receiver says ----------------------------------------------------------------------------------------

    def estimated(self, snr_db: float, symbol_rate: float) -> None:
        """A look at symbol rate and frequency; without lock it says how strong the signal is."""
        if self.now.state != "locked" and symbol_rate > 0:
            self.now = replace(self.now, snr_db=snr_db)

    def reported(self, report: Mapping[str, Any]) -> State | None:
        """A status message of ``blind_receiver_cc``."""
        reason = report.get("reason")
        if reason not in ("signal", "locked", "lock lost", "tracking"):
            return None
        new = replace(
            self.now, symbol_rate=report["symbol_rate"], carrier=report["frequency"], in_doubt=report.get("in_doubt", 0)
        )
        if report["locked"]:
            new = replace(new, state="locked", modulation=report["constellation"], snr_db=report["esn0_db"])
        elif reason == "lock lost":
            new = replace(new, state="lost", snr_db=None)
        elif reason == "signal":
            new = replace(new, state="recognised")
        if reason == "tracking":
            self.now = replace(new, sample_index=self.now.sample_index, in_doubt=self.now.in_doubt)
            return None
        return self._become(new, report["sample_index"])

    def _become(self, state: State, sample_index: int) -> State:
        self.now = replace(state, sample_index=sample_index)
        return self.now
