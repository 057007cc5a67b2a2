# SPDX-License-Identifier: GPL-3.0-or-later
"""The codes and frames that real recordings are judged by: there and back, with errors up to what they can take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_softmod.framing import ao40, ax25, ccsds, convolutional, hdlc, reed_solomon


def llrs(bits: np.ndarray, noise: float, seed: int = 1) -> np.ndarray:
    """LLRs of bits in Gaussian noise of that deviation around +-1."""
    received = 2.0 * bits - 1 + noise * np.random.default_rng(seed).normal(size=len(bits))
    return 2 * received / max(noise, 0.1) ** 2


@given(st.binary(min_size=1, max_size=223), st.integers(0, 16), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_reed_solomon_corrects_up_to_16_bytes(data: bytes, errors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codeword = np.frombuffer(reed_solomon.encode(data), np.uint8).copy()
    errors = min(errors, len(codeword))
    codeword[rng.choice(len(codeword), errors, replace=False)] ^= rng.integers(1, 256, errors, np.uint8)
    assert reed_solomon.decode(codeword.tobytes()) == (data, errors)


def test_reed_solomon_gives_up_on_more() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        codeword = np.frombuffer(reed_solomon.encode(rng.bytes(100)), np.uint8).copy()
        codeword[rng.choice(132, 20, replace=False)] ^= rng.integers(1, 256, 20, np.uint8)
        assert reed_solomon.decode(codeword.tobytes()) is None
    for bad in (b"", bytes(32), bytes(256)):
        with pytest.raises(ValueError, match="a codeword has 33 to 255 bytes"):
            reed_solomon.decode(bad)
    with pytest.raises(ValueError, match="224 bytes are too many"):
        reed_solomon.encode(bytes(224))


@pytest.mark.parametrize("invert_second", [True, False])
def test_convolutional_code_gains_by_soft_bits(invert_second: bool) -> None:
    bits = np.random.default_rng(3).integers(0, 2, 4000)
    bits[-convolutional.MEMORY :] = 0
    code = convolutional.encode(bits, invert_second=invert_second)
    soft = llrs(code, 0.75)
    wrong = [
        np.sum(convolutional.decode(values, invert_second=invert_second, terminated=True) != bits)
        for values in (soft, np.sign(soft))
    ]
    assert wrong[0] < 0.3 * wrong[1]
    clean = convolutional.decode(2.0 * code - 1, invert_second=invert_second)
    np.testing.assert_array_equal(clean, bits)


def test_convolutional_impulse_response_is_the_generators() -> None:
    impulse = convolutional.encode([1, 0, 0, 0, 0, 0, 0], invert_second=False).reshape(-1, 2).T
    assert ["".join(map(str, row)) for row in impulse.tolist()] == ["1111001", "1011011"]  # CCSDS 131.0-B figure 3-1


@given(st.binary(min_size=15, max_size=200), st.integers(0, (1 << 17) - 1))
@settings(max_examples=30, deadline=None)
def test_hdlc_there_and_back(payload: bytes, seed: int) -> None:
    channel = hdlc.scramble(np.concatenate((np.zeros(20, np.uint8), hdlc.frame_bits(payload))), seed)
    frames = ax25.recover_frames(10 * (2.0 * channel - 1), guesses=1)
    assert payload in [frame.payload for frame in frames]
    inverted = ax25.recover_frames(-10 * (2.0 * channel - 1), guesses=1)
    assert [frame.payload for frame in inverted] == [frame.payload for frame in frames]


def ax25_stream(count: int = 30) -> tuple[list[bytes], np.ndarray]:
    rng = np.random.default_rng(4)
    payloads = [rng.bytes(56) for _ in range(count)]
    data = np.concatenate([np.tile(hdlc.FLAG, 3)] + [hdlc.frame_bits(payload) for payload in payloads])
    return payloads, hdlc.scramble(np.concatenate((np.zeros(30, np.uint8), data)))


def test_guessing_weak_bits_recovers_frames_and_makes_up_none() -> None:
    payloads, channel = ax25_stream()
    soft = llrs(channel, 0.34)
    plain, guessed = (ax25.recover_frames(soft, guesses=count) for count in (1, 512))
    assert len(plain) < 25 < len(guessed)
    assert {frame.payload for frame in guessed} <= set(payloads)
    for frame in guessed:
        wrong = np.flatnonzero((soft > 0) != channel)
        inside = wrong[(wrong >= frame.start) & (wrong < frame.end - 8 - 18)]
        assert set(inside) <= set(frame.flips), "what was flipped is what was wrong"


def test_one_wrong_channel_bit_is_six_wrong_data_bits() -> None:
    channel = np.random.default_rng(5).integers(0, 2, 200)
    wrong = channel.copy()
    wrong[100] ^= 1
    differences = np.flatnonzero(hdlc.descramble(channel) != hdlc.descramble(wrong)) + 18
    np.testing.assert_array_equal(differences, 100 + hdlc.ERROR_SPREAD)


def test_ax25_faults() -> None:
    with pytest.raises(ValueError, match="one-dimensional"):
        ax25.recover_frames(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="guesses is 0"):
        ax25.recover_frames(np.zeros(10), guesses=0)
    assert ax25.recover_frames([]) == [] and ax25.recover_frames(np.zeros(3000)) == []


def test_ccsds_frames_there_and_back() -> None:
    rng = np.random.default_rng(6)
    payloads = [rng.bytes(114) for _ in range(3)]
    data = np.concatenate([rng.integers(0, 2, 101), *map(ccsds.frame_bits, payloads), rng.integers(0, 2, 100)])
    code = convolutional.encode(np.bitwise_xor.accumulate(data))
    soft = llrs(code, 0.6)
    for shifted, lead in ((soft, 0), (-soft[1:], 1)):  # the other phase of the code, an inverted carrier
        frames = ccsds.recover_frames(shifted, 114)
        assert [frame.payload for frame in frames] == payloads
        for frame in frames:
            part = code[frame.start + lead :][12 : 12 + len(ccsds.code_bits(frame.payload))]
            assert np.mean(part ^ ccsds.code_bits(frame.payload)) in (0, 1)


def test_ccsds_randomiser_begins_as_the_standard_says() -> None:
    assert ccsds.randomiser(5).tobytes().hex() == "ff480ec09a"  # CCSDS 131.0-B, pseudo-randomizer


def test_ao40_frame_there_and_back() -> None:
    payload = np.random.default_rng(7).bytes(ao40.BYTES)
    rng = np.random.default_rng(8)
    bits = np.concatenate((rng.integers(0, 2, 333), ao40.block_bits(payload), rng.integers(0, 2, 50)))
    for sign in (1, -1):
        frame = ao40.recover_frame(sign * llrs(bits, 0.6))
        assert frame is not None and frame.start == 333 and frame.payload == payload
    assert ao40.recover_frame(np.random.default_rng(9).normal(size=6000)) is None
    with pytest.raises(ValueError, match="100 LLRs are fewer"):
        ao40.find_block(np.zeros(100))
