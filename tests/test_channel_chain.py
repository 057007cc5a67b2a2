# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels as a whole: settings, seeds, gradients of every part, compiling, faults."""

import pytest
import torch
from torch import nn

from gr_softmod.modem.channel import (
    AWGN,
    Channel,
    DCOffset,
    FrequencyOffset,
    IQImbalance,
    MaskedPhaseNoise,
    MIMOChannel,
    Multipath,
    PhaseNoise,
    PhaseOffset,
    Quantizer,
    Rapp,
    RayleighFading,
    RicianFading,
    Saleh,
    ThirdOrder,
    TimingOffset,
)
from gr_softmod.modem.seeding import seeded_generator


def random_complex(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def power(x):
    return x.abs().square().mean().item()


def everything():
    return Channel(
        Rapp(1.2), Multipath.exponential(4, 1.5, doppler=0.01), TimingOffset(0.3), FrequencyOffset(1e-3),
        PhaseNoise(1e-4), IQImbalance(0.3, 0.02), DCOffset(0.01j), AWGN(), Quantizer(8, 4.0),
    )  # fmt: skip


def test_channel_hands_settings_to_the_parts_that_take_them():
    signal, channel = random_complex(2, 40), everything()
    g = lambda: seeded_generator(7, 3)  # noqa: E731
    once = channel(signal, noise_var=0.1, generator=g())
    assert torch.equal(once, channel(signal, noise_var=0.1, generator=g()))
    assert not torch.equal(once, channel(signal, noise_var=0.1, generator=seeded_generator(7, 4)))
    step, generator = signal, g()
    for part in channel:
        takes = {AWGN: {"noise_var": 0.1, "generator": generator}, PhaseNoise: {"generator": generator}}
        takes[Multipath] = {"generator": generator}
        step = part(step, **takes.get(type(part), {}))
    assert torch.equal(once, step)


def test_channel_is_a_sequential_and_composes_with_any_module():
    channel = Channel(nn.Identity(), Channel(DCOffset(1.0), AWGN(0.0)))
    assert torch.equal(channel(torch.zeros(3, dtype=torch.complex64)), torch.ones(3, dtype=torch.complex64))
    assert len(nn.Sequential(channel, DCOffset(1j))(random_complex(4))) == 4
    assert len(channel[:1]) == 1


def test_settings_reach_a_channel_within_a_channel():
    inner = Channel(Channel(AWGN()), DCOffset(0.0))
    out = inner(torch.zeros(50_000, dtype=torch.complex64), noise_var=2.0, generator=seeded_generator(0))
    assert power(out) == pytest.approx(2.0, rel=0.03)


def test_generators_depend_on_seed_and_index_alone():
    draw = lambda *key: torch.rand(4, generator=seeded_generator(*key)).tolist()  # noqa: E731
    assert draw(1, 2) == draw(1, 2)
    assert len({tuple(draw(*key)) for key in [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**40, 1)]}) == 7


def test_noise_follows_the_global_seed_without_a_generator():
    torch.manual_seed(5)
    first = AWGN(1.0)(torch.zeros(4, dtype=torch.complex64))
    torch.manual_seed(5)
    assert torch.equal(first, AWGN(1.0)(torch.zeros(4, dtype=torch.complex64)))


PARTS = {
    "awgn": (AWGN, [0.3]),
    "phase": (PhaseOffset, [0.3]),
    "phase rows": (PhaseOffset, [[[0.3], [0.5]]]),
    "frequency": (FrequencyOffset, [0.01]),
    "timing": (TimingOffset, [0.37]),
    "timing rows": (TimingOffset, [[[0.37], [-1.2]]]),
    "phase noise": (PhaseNoise, [0.01]),
    "masked phase noise": (lambda db: MaskedPhaseNoise([1e3, 1e5], db, sample_rate_hz=1e6), [[-60.0, -70.0]]),
    "iq": (IQImbalance, [0.5, 0.1]),
    "dc": (DCOffset, [0.1 + 0.2j]),
    "rapp": (Rapp, [1.0, 2.0, 1.5]),
    "saleh": (Saleh, [[2.1587, 1.1517], [4.0033, 9.1040]]),
    "third_order": (ThirdOrder, [-0.08]),
    "rayleigh": (RayleighFading, [0.02]),
    "rician": (RicianFading, [2.0, 0.02]),
    "multipath": (lambda d, p, k: Multipath(d, p, k_factor=k), [[0.2, 1.3, 2.0], [1.0, 0.5, 0.2], 1.5]),
    "multipath doppler": (lambda d, p, f: Multipath(d, p, doppler=f), [[0.2, 1.3], [1.0, 0.5], 0.02]),
    "mimo": (lambda f: MIMOChannel(2, 3, doppler=f), [0.02]),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_gradients_to_signal_and_parameters(name):
    build, values = PARTS[name]
    signal = random_complex(2, 6).requires_grad_()
    kind = lambda v: torch.complex128 if isinstance(v, complex) else torch.float64  # noqa: E731
    parameters = [torch.tensor(v, dtype=kind(v), requires_grad=True) for v in values]

    def run(signal, *parameters):
        torch.manual_seed(0)
        return build(*parameters)(signal)

    assert torch.autograd.gradcheck(run, (signal, *parameters))


@pytest.mark.parametrize("name", PARTS)
def test_parameters_can_be_learnt_and_modules_moved(name):
    """nn.Parameter stays one; complex64 in is complex64 out."""
    build, values = PARTS[name]
    parameters = [nn.Parameter(torch.tensor(v)) for v in values]
    module = build(*parameters)
    assert {id(p) for p in module.parameters()} == {id(p) for p in parameters}
    out = module(random_complex(2, 6, dtype=torch.complex64))
    assert out.dtype == torch.complex64
    out.abs().square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad.abs()).all() for p in parameters)


def test_a_whole_channel_compiles_in_one_graph():
    channel, signal = everything(), random_complex(2, 40, dtype=torch.complex64)
    compiled = torch.compile(channel, fullgraph=True, backend="aot_eager")
    assert compiled(signal, noise_var=0.1).shape == signal.shape


@pytest.mark.parametrize(
    "build",
    [
        lambda: AWGN(-1.0),
        lambda: AWGN(float("nan")),
        lambda: AWGN()(random_complex(3)),
        lambda: AWGN()(random_complex(3), -1.0),
        lambda: AWGN(1.0)(torch.zeros(3)),
        lambda: PhaseNoise(-1e-3),
        lambda: MaskedPhaseNoise([1e3, 1e2], [-80.0, -90.0], sample_rate_hz=1e6),
        lambda: MaskedPhaseNoise([1e3], [-80.0, -90.0], sample_rate_hz=1e6),
        lambda: MaskedPhaseNoise([1e3], [-80.0], sample_rate_hz=0),
        lambda: PhaseOffset(float("inf")),
        lambda: TimingOffset(7.5)(random_complex(7)),
        lambda: Rapp(0.0),
        lambda: Saleh((1.0, -1.0)),
        lambda: ThirdOrder(float("nan")),
        lambda: Saleh(phase=(1.0, -1.0)),
        lambda: Quantizer(0),
        lambda: Quantizer(3, 0.0),
        lambda: RayleighFading(0.6),
        lambda: RayleighFading(0.1, sinusoids=4),
        lambda: RicianFading(-1.0),
        lambda: Multipath([0.0, 1.0], [1.0]),
        lambda: Multipath([-1.0], [1.0]),
        lambda: Multipath([0.0], [0.0]),
        lambda: Multipath([9.0], [1.0])(random_complex(8)),
        lambda: Multipath.from_profile("TDL-Z", sample_rate_hz=1e6),
        lambda: Multipath.from_profile("TDL-A", sample_rate_hz=1e6),
        lambda: Multipath.from_profile("EPA", sample_rate_hz=1e6, delay_spread_s=1e-6),
        lambda: Multipath.exponential(0, 1.0),
        lambda: MIMOChannel(0, 2),
        lambda: MIMOChannel(2, 2)(random_complex(3, 8)),
        lambda: MIMOChannel(2, 2, transmit_correlation=torch.eye(3)),
        lambda: MIMOChannel(2, 2, receive_correlation=torch.tensor([[1.0, 2.0], [2.0, 1.0]])),
        lambda: Channel(AWGN(1.0))(random_complex(3), gain=2),
        lambda: Channel()(torch.zeros(3)),
        lambda: seeded_generator(-1),
    ],
)
def test_wrong_values_are_refused(build):
    with pytest.raises(ValueError, match="must|is|are|no part|needs|has|no more"):
        build()
