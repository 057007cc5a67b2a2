# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellation and GNU Radio: its objects in and out, and gr-dtv's modulators as a second opinion on DVB."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gnuradio import blocks, digital, dtv, gr
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.constellation_gnuradio import rotational_symmetry
from gr_softmod.conventions import labels_of_bits

GRAY8 = [0, 1, 3, 2, 6, 7, 5, 4]
CIRCLE8 = list(np.exp(2j * np.pi * np.arange(8) / 8))
CORNERS = [1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j]

#: Everything that makes constellation objects in GNU Radio, with and without a pre-differential code.
OBJECTS = {
    "constellation_bpsk": digital.constellation_bpsk,
    "constellation_qpsk": digital.constellation_qpsk,
    "constellation_dqpsk": digital.constellation_dqpsk,
    "constellation_8psk": digital.constellation_8psk,
    "constellation_8psk_natural": digital.constellation_8psk_natural,
    "constellation_16qam": digital.constellation_16qam,
    "psk_constellation(8)": lambda: digital.psk_constellation(8),
    "psk_constellation(16, differential)": lambda: digital.psk_constellation(16, differential=True),
    "psk_constellation(8, not differential)": lambda: digital.psk_constellation(8, differential=False),
    "qam_constellation(16)": lambda: digital.qam_constellation(16),
    "qam_constellation(64, not differential)": lambda: digital.qam_constellation(64, differential=False),
    "qam32_holeinside_constellation": digital.qam32_holeinside_constellation,
    "constellation_calcdist": lambda: digital.constellation_calcdist(CIRCLE8, GRAY8, 8, 1),
    "constellation_calcdist, no code": lambda: digital.constellation_calcdist(CIRCLE8, [], 8, 1),
    "constellation_calcdist, odd code": lambda: digital.constellation_calcdist([1, 1j, -1, -1j], [2, 0, 3, 1], 4, 1),
    "constellation_rect": lambda: digital.constellation_rect(CORNERS, [0, 1, 3, 2], 4, 2, 2, 1, 1),
    "constellation_expl_rect": lambda: digital.constellation_expl_rect(
        CORNERS, [0, 1, 3, 2], 4, 2, 2, 1, 1, [2, 3, 1, 0]
    ),
    "constellation_psk": lambda: digital.constellation_psk([1, 1j, -1, -1j], [0, 1, 3, 2], 4),
}  # fmt: skip


def sent_by_gnuradio(constellation: Any, data: bytes) -> NDArray[np.complex64]:
    """The symbols inside GNU Radio's own modulator, before its pulse filter."""
    modulator = digital.generic_mod(constellation, differential=False, samples_per_symbol=2)
    symbols = blocks.vector_sink_c()
    modulator.connect(modulator.chunks2symbols, symbols)
    tb = gr.top_block()
    source, drain = blocks.vector_source_b(list(data), False), blocks.null_sink(gr.sizeof_gr_complex)
    tb.connect(source, modulator, drain)
    tb.run()
    return np.array(symbols.data(), np.complex64)


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS.keys())
def test_an_imported_one_maps_bits_as_gnuradios_modulator_does(make) -> None:
    theirs = make()
    ours = Constellation.from_gnuradio(theirs)
    data = np.random.default_rng(1).integers(0, 256, ours.bits_per_symbol * 60, dtype=np.uint8)
    sent = sent_by_gnuradio(theirs, data.tobytes())
    wanted = ours.modulate(np.unpackbits(data))
    scale = np.sqrt(np.mean(np.abs(theirs.points()) ** 2))
    assert len(sent) >= len(wanted) - ours.bits_per_symbol
    assert np.allclose(sent / scale, wanted[: len(sent)], atol=1e-5)


def test_base_and_derived_objects_are_the_same() -> None:
    theirs = digital.constellation_qpsk()
    assert Constellation.from_gnuradio(theirs.base()) == Constellation.from_gnuradio(theirs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: digital.constellation_calcdist([1, 1j, -1, -1j], [], 1, 2),
        lambda: digital.constellation_calcdist([1, 1, -1, -1], [], 1, 2),
    ],
)
def test_two_dimensions_are_refused(make) -> None:
    with pytest.raises(ValueError, match="dimensionality 2; it must be 1"):
        Constellation.from_gnuradio(make())


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "16qam", "32qam", "32apsk", "8ask", "4pam", "64qam-dvb"])
def test_an_exported_one_decides_and_encodes_as_ours(name: str) -> None:
    ours = Constellation.from_name(name)
    theirs = ours.to_gnuradio()
    again = Constellation.from_gnuradio(theirs)
    assert np.allclose(again.points, ours.points, atol=1e-6)
    rng = np.random.default_rng(2)
    symbols = rng.normal(size=50) + 1j * rng.normal(size=50)
    assert [theirs.decision_maker_v([s]) for s in symbols] == list(ours.nearest(symbols))

    bits = rng.integers(0, 2, 40 * ours.bits_per_symbol)
    encoder = digital.constellation_encoder_bc(theirs)
    source, sink = (
        blocks.vector_source_b(labels_of_bits(bits, ours.bits_per_symbol).tolist(), False),
        blocks.vector_sink_c(),
    )
    tb = gr.top_block()
    tb.connect(source, encoder, sink)
    tb.run()
    assert np.allclose(sink.data(), ours.modulate(bits), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("ook", 1),
        ("bpsk", 2),
        ("8ask", 1),
        ("qpsk", 4),
        ("8psk", 8),
        ("64qam", 4),
        ("4096qam", 4),
        ("16apsk", 4),
        ("128qam", 4),
    ],
)
def test_rotational_symmetry(name: str, turns: int) -> None:
    assert rotational_symmetry(Constellation.from_name(name)) == turns
    assert Constellation.from_name(name).to_gnuradio().rotational_symmetry() == turns


def test_rotational_symmetry_around_a_point_at_the_origin() -> None:
    around = Constellation([0, *np.exp(2j * np.pi * np.arange(3) / 3)])
    assert rotational_symmetry(around) == 3


# -- DVB --------------------------------------------------------------------------------------------------------------

#: Ours -> gr-dtv's modulation and code rate. gr-dtv names some S2X rates by their fraction of 180.
DVB_S2 = {
    "qpsk": ("QPSK", "C1_2"),
    "8psk-dvb": ("8PSK", "C2_3"),
    **{f"16apsk-{r}": ("16APSK", "C" + r.replace("/", "_")) for r in
       ("2/3", "3/4", "4/5", "5/6", "8/9", "9/10", "26/45", "3/5", "28/45", "23/36", "25/36", "13/18")},
    "16apsk-7/9": ("16APSK", "C140_180"), "16apsk-77/90": ("16APSK", "C154_180"),
    "16apsk-1/2-L": ("8_8APSK", "C90_180"), "16apsk-8/15-L": ("8_8APSK", "C96_180"),
    "16apsk-5/9-L": ("8_8APSK", "C100_180"),
    **{f"32apsk-{r}": ("32APSK", "C" + r.replace("/", "_")) for r in ("3/4", "4/5", "5/6", "8/9", "9/10")},
    "32apsk-2/3-L": ("4_12_16APSK", "C2_3"), "32apsk-32/45": ("4_8_4_16APSK", "C128_180"),
    "32apsk-11/15": ("4_8_4_16APSK", "C132_180"), "32apsk-7/9": ("4_8_4_16APSK", "C140_180"),
    "64apsk-32/45-L": ("64APSK", "C128_180"), "64apsk-11/15": ("4_12_20_28APSK", "C132_180"),
    **{f"64apsk-{r}": ("8_16_20_20APSK", "C" + r.replace("/", "_")) for r in ("7/9", "4/5", "5/6")},
    "128apsk-3/4": ("128APSK", "C135_180"), "128apsk-7/9": ("128APSK", "C140_180"),
}  # fmt: skip


def points_by_label(modulator: Any, order: int) -> NDArray[np.complex64]:
    """What a gr-dtv modulator sends for the labels 0 .. order - 1; it works on whole frames."""
    source = blocks.vector_source_b((np.arange(64800) % order).tolist(), False)
    sink = blocks.vector_sink_c()
    tb = gr.top_block()
    tb.connect(source, modulator, sink)
    tb.run()
    return np.array(sink.data()[:order], np.complex64)


@pytest.mark.parametrize("name", DVB_S2)
def test_dvb_s2_points_are_those_of_gr_dtv(name: str) -> None:
    ours = Constellation.from_name(name)
    modulation, rate = (getattr(dtv, n) for n in (f"MOD_{DVB_S2[name][0]}", DVB_S2[name][1]))
    modulator = dtv.dvbs2_modulator_bc(dtv.FECFRAME_NORMAL, rate, modulation, dtv.INTERPOLATION_OFF)
    assert np.allclose(points_by_label(modulator, ours.order), ours.points, atol=1e-6)


def test_every_dvb_apsk_is_compared() -> None:
    assert {n for n in Constellation.names() if "apsk-" in n} <= set(DVB_S2)


@pytest.mark.parametrize("name", ["qpsk", "16qam-dvb", "64qam-dvb", "256qam-dvb"])
def test_dvb_t2_points_are_those_of_gr_dtv(name: str) -> None:
    ours = Constellation.from_name(name)
    modulation = getattr(dtv, f"MOD_{name.removesuffix('-dvb').upper()}")
    modulator = dtv.dvbt2_modulator_bc(dtv.FECFRAME_NORMAL, modulation, dtv.ROTATION_OFF)
    assert np.allclose(points_by_label(modulator, ours.order), ours.points, atol=1e-6)


@pytest.mark.parametrize("name", ["qpsk", "16qam-dvb", "64qam-dvb"])
def test_dvb_t_points_are_those_of_gr_dtv(name: str) -> None:
    """The same as DVB-T2's; gr-dtv's mapper works on vectors of the 1512 data carriers of the 2k mode."""
    ours = Constellation.from_name(name)
    modulation = getattr(dtv, f"MOD_{name.removesuffix('-dvb').upper()}")
    source = blocks.vector_source_b((np.arange(1512 * 4) % ours.order).tolist(), False, 1512)
    sink = blocks.vector_sink_c(1512)
    tb = gr.top_block()
    tb.connect(source, dtv.dvbt_map(1512, modulation, dtv.NH, dtv.T2k, 1.0), sink)
    tb.run()
    assert np.allclose(sink.data()[: ours.order], ours.points, atol=1e-6)
