# SPDX-License-Identifier: GPL-3.0-or-later
"""States of the adaptive receiver: hysteresis of the class, priors, and what lock and loss become."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest

# The module needs no GNU Radio, the package around it does.
_PATH = Path(__file__).resolve().parents[1] / "python/gr_softmod/blocks/receiver_state.py"
_SPEC = importlib.util.spec_from_file_location("receiver_state", _PATH)
assert _SPEC and _SPEC.loader
receiver_state = importlib.util.module_from_spec(_SPEC)
sys.modules["receiver_state"] = receiver_state
_SPEC.loader.exec_module(receiver_state)
ReceiverState, FLOOR = receiver_state.ReceiverState, receiver_state.FLOOR

CANDIDATES = ("bpsk", "qpsk", "16qam")


def report(reason: str, sample_index: int = 0, **more: Any) -> dict[str, Any]:
    locked = reason in ("locked", "tracking")
    with_lock = {"constellation": "16qam", "esn0_db": 20.0, "in_doubt": 0} if locked else {}
    return {
        "reason": reason,
        "locked": locked,
        "sample_index": sample_index,
        "symbol_rate": 2e5,
        "frequency": 1e3,
        **with_lock,
        **more,
    }


def test_a_class_settles_when_enough_sure_reports_agree_and_stays_until_as_many_disagree() -> None:
    state = ReceiverState(CANDIDATES, agreeing=3, min_confidence=0.5)
    assert state.now.state == "searching"
    for name, probability in [("QPSK", 0.9), ("QPSK", 0.9), ("BPSK", 0.9), ("QPSK", 0.9), ("QPSK", 0.4), ("QPSK", 0.9)]:
        assert state.classified(name, probability, 0) is None
    state.classified("QPSK", 0.9, 1)
    settled = state.classified("QPSK", 0.8, 2)
    assert settled.as_dict() == {
        "state": "recognised",
        "class": "qpsk",
        "classification": "QPSK",
        "probability": 0.8,
        "sample_index": 2,
        "in_doubt": 0,
    }
    assert state.classified("QPSK", 0.9, 3) is None, "nothing new"
    assert state.classified("BPSK", 0.9, 4) is None and state.now.classification == "QPSK"
    state.classified("BPSK", 0.9, 5)
    assert state.classified("BPSK", 0.9, 6).modulation == "bpsk"
    state.classified("noise", 0.9, 7), state.classified("noise", 0.9, 8)
    assert state.classified("noise", 0.9, 9).state == "searching"


def test_with_lock_the_symbols_decide() -> None:
    state = ReceiverState(CANDIDATES, agreeing=1)
    assert state.reported(report("signal", 5)).state == "recognised"
    locked = state.reported(report("locked", 7))
    assert (locked.state, locked.modulation, locked.sample_index) == ("locked", "16qam", 7)
    assert locked.symbol_rate == 2e5 and locked.carrier == 1e3 and locked.snr_db == 20
    assert state.classified("BPSK", 0.9, 9) is None
    assert state.now.modulation == "16qam" and state.now.classification == "BPSK"
    assert state.reported(report("tracking", 11, esn0_db=19.0)) is None and state.now.snr_db == 19
    assert state.now.sample_index == 7
    changed = state.reported(report("locked", 13, constellation="qpsk", in_doubt=640))
    assert changed.modulation == "qpsk" and changed.in_doubt == 640
    lost = state.reported(report("lock lost", 15))
    assert lost.state == "lost" and lost.sample_index == 15 and lost.snr_db is None
    assert state.reported(report("locked", 17)).state == "locked"


def test_looks_tell_how_strong_a_signal_without_lock_is() -> None:
    state = ReceiverState(CANDIDATES)
    state.estimated(12.0, 0.0)
    assert state.now.snr_db is None, "there was no signal"
    state.estimated(12.0, 1e5)
    assert state.now.snr_db == 12
    state.reported(report("locked"))
    state.estimated(3.0, 1e5)
    assert state.now.snr_db == 20


def test_priors_are_the_networks_and_none_is_impossible() -> None:
    state = ReceiverState(CANDIDATES)
    priors = state.log_priors({"BPSK": 0.5, "QPSK": 1e-9, "FM": 0.5})
    assert priors == pytest.approx({"bpsk": math.log(0.5), "qpsk": math.log(FLOOR), "16qam": math.log(FLOOR)})
    assert max(state.log_priors({"BPSK": 1.0000001}).values()) == 0


@pytest.mark.parametrize("name", ["FM", "GMSK", "OQPSK", "AM-DSB-SC"])
def test_a_class_without_symbols_rules_all_candidates_out_while_it_stands(name: str) -> None:
    state = ReceiverState(CANDIDATES, agreeing=2)
    state.classified(name, 0.9, 0)
    assert max(state.log_priors({name: 0.9}).values()) > -math.inf, "it has not settled yet"
    state.classified(name, 0.9, 1)
    assert set(state.log_priors({name: 0.9}).values()) == {-math.inf}
    state.classified("QPSK", 0.9, 2), state.classified("QPSK", 0.9, 3)
    assert max(state.log_priors({"QPSK": 0.9}).values()) > -1


def test_other_messages_change_nothing() -> None:
    state = ReceiverState(CANDIDATES)
    assert state.reported({"reason": "3 samples were not finite"}) is None
    assert state.now == receiver_state.State()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"agreeing": 0}, "agreeing is 0"),
        ({"min_confidence": 1.5}, "min_confidence is 1.5"),
        ({"min_confidence": math.nan}, "nan"),
    ],
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ReceiverState(CANDIDATES, **bad)
