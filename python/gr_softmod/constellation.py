# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellation: complex points by label, and everything that follows from them. Needs numpy alone."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod import constellation_points as build
from gr_softmod.constellation_apsk import APSK, DEFAULT_RATE, apsk_points
from gr_softmod.constellation_axes import Axes, find_axes
from gr_softmod.conventions import bits_of_labels, labels_of_bits


class Constellation:
    """Complex points indexed by label; immutable, hashable.

    Two constellations are equal when points by label, rotation and q_delay are; the name does not count.

    Args:
        points: complex [M] in any order and scale, M = 2^m; scaled so that E|s|^2 = 1 for equiprobable symbols.
        labels: ``labels[i]`` is the label of ``points[i]``; 0 .. M-1 each once. Default: the order of the points.
        name: what ``str()`` gives.
        rotation: radians by which symbol n is turned n times before it is sent (pi/4 for pi/4-QPSK).
        q_delay: delay of Q against I in symbols (0.5 for offset QPSK); it belongs to the pulse shaper.

    Attributes:
        points: complex128 [M], read-only, indexed by label.
        order, bits_per_symbol: M and m.
        bits: uint8 [M, m], read-only; ``bits[label]`` most significant bit first.
        axes: :class:`Axes` when the points separate into I and Q, else None.

    Raises:
        ValueError: M is not a power of two, labels are no permutation, a point is not finite, two points coincide, all
            points are zero, rotation or q_delay is not finite.
    """

    __slots__ = ("_key", "axes", "bits", "bits_per_symbol", "name", "order", "points", "q_delay", "rotation")

    points: NDArray[np.complex128]
    bits: NDArray[np.uint8]
    order: int
    bits_per_symbol: int
    name: str
    rotation: float
    q_delay: float
    axes: Axes | None
    _key: tuple[bytes, float, float]

    def __init__(
        self,
        points: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        name: str = "custom",
        rotation: float = 0.0,
        q_delay: float = 0.0,
    ) -> None:
        ordered = build.labelled(build.checked(points), labels)
        if not (np.isfinite(rotation) and np.isfinite(q_delay)):
            raise ValueError(f"rotation is {rotation} and q_delay is {q_delay}; both must be finite")
        order = len(ordered)
        bits = bits_of_labels(np.arange(order), order.bit_length() - 1).reshape(order, -1)
        for array in (ordered, bits):
            array.flags.writeable = False
        values = {
            "points": ordered,
            "bits": bits,
            "order": order,
            "bits_per_symbol": bits.shape[1],
            "name": str(name),
            "rotation": float(rotation),
            "q_delay": float(q_delay),
            "axes": find_axes(ordered, bits),
            "_key": (ordered.tobytes(), float(rotation), float(q_delay)),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise AttributeError("a Constellation does not change; make a new one")

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Constellation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Constellation {self.name}: {self.order} points>"

    def __reduce__(self) -> tuple[Callable, tuple]:
        return Constellation.from_dict, (self.to_dict(),)

    # -- bits and symbols ----------------------------------------------------------------------------------------

    def modulate(self, bits: ArrayLike, *, first: int = 0) -> NDArray[np.complex128]:
        """Bits [..., N * m] in {0, 1} to symbols [..., N], rotation applied, one sample a symbol (no Q delay).

        ``first`` is the index of the first symbol, for the rotation.
        """
        return self.rotate(self.points[labels_of_bits(bits, self.bits_per_symbol)], first=first)

    def nearest(self, symbols: ArrayLike, *, first: int = 0) -> NDArray[np.int64]:
        """Labels [...] of the points nearest to symbols [...], rotation undone; a tie or NaN takes any label."""
        received = self.derotate(symbols, first=first)
        flat = received.reshape(-1)
        labels = np.empty(flat.shape, np.int64)
        chunk = max(1, (1 << 20) // self.order)
        for start in range(0, len(flat), chunk):
            difference = flat[start : start + chunk, None] - self.points
            labels[start : start + chunk] = np.argmin(difference.real**2 + difference.imag**2, axis=1)
        return labels.reshape(received.shape)

    def rotate(self, symbols: ArrayLike, *, first: int = 0) -> NDArray[np.complex128]:
        """Turn symbol n of [..., N] by ``(first + n) * rotation``: from points to what is sent."""
        return self._turned(symbols, first, self.rotation)

    def derotate(self, symbols: ArrayLike, *, first: int = 0) -> NDArray[np.complex128]:
        """Undo :meth:`rotate`: from what is received to something to compare with the points."""
        return self._turned(symbols, first, -self.rotation)

    @staticmethod
    def _turned(symbols: ArrayLike, first: int, rotation: float) -> NDArray[np.complex128]:
        array = np.asarray(symbols, np.complex128)
        if rotation == 0.0:
            return array
        return array * np.exp(1j * rotation * (first + np.arange(array.shape[-1])))

    # -- files ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON and YAML carry without loss; :meth:`from_dict` gives an equal constellation."""
        return {
            "name": self.name,
            "points": [[float(p.real), float(p.imag)] for p in self.points],
            "rotation": self.rotation,
            "q_delay": self.q_delay,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Constellation:
        """Inverse of :meth:`to_dict`; "points" are [re, im] pairs by label, the other keys are optional."""
        unknown = set(values) - {"name", "points", "rotation", "q_delay"}
        if unknown or "points" not in values:
            problem = f"unknown keys {sorted(unknown)}" if unknown else "no key 'points'"
            raise ValueError(
                f"a constellation's dictionary has {problem}; it needs points, and may have name, rotation, q_delay"
            )
        pairs = np.asarray(values["points"], np.float64)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"points have shape {pairs.shape}; they must be a list of [re, im] pairs")
        rest = {key: value for key, value in values.items() if key != "points"}
        return cls(pairs[:, 0] + 1j * pairs[:, 1], **rest)

    # -- GNU Radio -----------------------------------------------------------------------------------------------

    @classmethod
    def from_gnuradio(cls, constellation: Any) -> Constellation:
        """Points by label of a GNU Radio constellation object; see :mod:`gr_softmod.constellation_gnuradio`."""
        from gr_softmod.constellation_gnuradio import from_gnuradio

        return from_gnuradio(constellation)

    def to_gnuradio(self) -> Any:
        """The same points as a ``digital.constellation_calcdist``; rotation and q_delay have no place in it."""
        from gr_softmod.constellation_gnuradio import to_gnuradio

        return to_gnuradio(self)

    # -- the known ones ------------------------------------------------------------------------------------------

    @classmethod
    def bpsk(cls, labels: str = "gray") -> Constellation:
        """Bit 0 at +1; "3gpp" (TS 38.211 section 5.1.2) has it at (1 + j) / sqrt(2)."""
        _check_labels("BPSK", labels, ("gray", "3gpp"))
        return cls([1, -1], name="bpsk") if labels == "gray" else cls([1 + 1j, -1 - 1j], name="bpsk-3gpp")

    @classmethod
    def pi2_bpsk(cls) -> Constellation:
        """BPSK turned by pi/2 each symbol. (TS 38.211 section 5.1.1 turns by 0, pi/2, 0, pi/2, ...: not this one.)"""
        return cls([1, -1], name="pi2-bpsk", rotation=np.pi / 2)

    @classmethod
    def qpsk(cls) -> Constellation:
        """First bit I, second Q, 0 = positive: TS 38.211 section 5.1.3 and DVB-S2 alike."""
        return cls(build.square_qam_points(2), name="qpsk")

    @classmethod
    def pi4_qpsk(cls) -> Constellation:
        """QPSK turned by pi/4 each symbol."""
        return cls(build.square_qam_points(2), name="pi4-qpsk", rotation=np.pi / 4)

    @classmethod
    def oqpsk(cls) -> Constellation:
        """QPSK whose Q is half a symbol late."""
        return cls(build.square_qam_points(2), name="oqpsk", q_delay=0.5)

    @classmethod
    def psk(cls, order: int, labels: str = "gray") -> Constellation:
        """M-PSK, 2 to 64 points; "gray": label 0 at phase 0; "dvb" (8-PSK only): EN 302 307-1 section 5.4.2."""
        _check_labels("PSK", labels, ("gray", "dvb"))
        m = build.log2_of_order(order, "PSK", largest=64)
        if labels == "gray":
            return cls.bpsk() if m == 1 else cls(build.psk_points(m), name=f"{order}psk")
        if m != 3:
            raise ValueError(f"DVB labels exist for 8-PSK; PSK order is {order}")
        return cls(np.exp(0.25j * np.pi * np.arange(8)), [1, 0, 4, 6, 2, 3, 7, 5], name="8psk-dvb")

    @classmethod
    def pam(cls, order: int) -> Constellation:
        """Bipolar amplitudes ±1, ±3, .. of I, 2 to 64 of them; the first bit is the sign, 0 = positive."""
        m = build.log2_of_order(order, "PAM", largest=64)
        return cls.bpsk() if m == 1 else cls(build.pam_levels(m), name=f"{order}pam")

    @classmethod
    def ask(cls, order: int) -> Constellation:
        """Unipolar amplitudes 0, 1, 2, .. (2 to 64 of them); 2-ASK is :meth:`ook`."""
        m = build.log2_of_order(order, "ASK", largest=64)
        return cls(build.ask_points(m), name="ook" if m == 1 else f"{order}ask")

    @classmethod
    def ook(cls) -> Constellation:
        """Bit 0 is no carrier."""
        return cls.ask(2)

    @classmethod
    def qam(cls, order: int, labels: str = "gray") -> Constellation:
        """Square QAM of 4 to 4096 points or cross QAM of 32, 128 or 512.

        "gray" and "3gpp" are the same square labelling (TS 38.211 section 5.1, which has 4 to 1024 points); "dvb" is
        DVB-T's and DVB-T2's, 4 to 256 points (EN 302 755 section 6.2.2). A cross has the near-Gray labels of
        :func:`gr_softmod.constellation_points.cross_qam_points`.
        """
        _check_labels("QAM", labels, ("gray", "3gpp", "dvb"))
        m = build.log2_of_order(order, "QAM", smallest=4, largest=4096)
        if m % 2:
            if labels != "gray" or order not in (32, 128, 512):
                raise ValueError(
                    f"{order}-QAM with labels {labels!r}: cross QAM has 32, 128 or 512 points and labels 'gray'"
                )
            return cls(build.cross_qam_points(m), name=f"{order}qam")
        largest = {"gray": 4096, "3gpp": 1024, "dvb": 256}[labels]
        if order > largest:
            raise ValueError(f"{labels} labels go up to {largest}-QAM; QAM order is {order}")
        name = "qpsk" if m == 2 else f"{order}qam-dvb" if labels == "dvb" else f"{order}qam"
        return cls(build.square_qam_points(m, labels), name=name)

    @classmethod
    def apsk(cls, order: int, rate: str | None = None) -> Constellation:
        """APSK of DVB-S2 / S2X for a code rate such as "3/4" or "2/3-L" (see :data:`constellation_apsk.APSK`).

        Without a rate: 3/4 for 16, 32 and 128 points, 4/5 for 64.
        """
        chosen = DEFAULT_RATE.get(order, "") if rate is None else rate
        return cls(apsk_points(order, chosen), name=f"{order}apsk" + (f"-{rate}" if rate else ""))

    @staticmethod
    def names() -> tuple[str, ...]:
        """Every name :meth:`from_name` takes, simplest first."""
        return tuple(_NAMED)

    @classmethod
    def from_name(cls, name: str) -> Constellation:
        """The constellation of a name in :meth:`names`; case does not matter.

        Raises:
            ValueError: there is no such name; the message has the nearest ones.
        """
        key = str(name).strip().lower()
        made = _NAMED_LOWER.get(_ALIASES.get(key, key))
        if made is None:
            near = difflib.get_close_matches(key, _NAMED_LOWER, n=3) or ["bpsk", "qpsk", "16qam"]
            raise ValueError(f"there is no constellation {name!r}; did you mean {', '.join(near)}?")
        return made()


def _named() -> dict[str, Callable[[], Constellation]]:
    """Canonical names in the order of :meth:`Constellation.names`."""
    c = Constellation
    named: dict[str, Callable[[], Constellation]] = {"bpsk": c.bpsk, "qpsk": c.qpsk, "ook": c.ook}
    named |= {f"{order}psk": partial(c.psk, order) for order in (8, 16, 32)}
    named |= {f"{order}pam": partial(c.pam, order) for order in (4, 8, 16)}
    named |= {f"{order}ask": partial(c.ask, order) for order in (4, 8, 16)}
    named |= {f"{order}qam": partial(c.qam, order) for order in (16, 64, 256, 1024, 4096, 32, 128, 512)}
    named |= {f"{order}apsk": partial(c.apsk, order) for order in APSK}
    named |= {"oqpsk": c.oqpsk, "pi4-qpsk": c.pi4_qpsk, "pi2-bpsk": c.pi2_bpsk, "bpsk-3gpp": partial(c.bpsk, "3gpp")}
    named |= {"8psk-dvb": partial(c.psk, 8, "dvb")}
    named |= {f"{order}qam-dvb": partial(c.qam, order, "dvb") for order in (16, 64, 256)}
    named |= {f"{order}apsk-{rate}": partial(c.apsk, order, rate) for order, rates in APSK.items() for rate in rates}
    return named


_NAMED = _named()
_NAMED_LOWER = {name.lower(): make for name, make in _NAMED.items()}
_ALIASES = {
    "2psk": "bpsk", "2pam": "bpsk", "2ask": "ook", "4qam": "qpsk", "bask": "ook",
    "pi/4-qpsk": "pi4-qpsk", "pi/2-bpsk": "pi2-bpsk",
}  # fmt: skip


def _check_labels(scheme: str, labels: str, allowed: tuple[str, ...]) -> None:
    if labels not in allowed:
        raise ValueError(f"{scheme} labels are {labels!r}; they must be one of {', '.join(allowed)}")
