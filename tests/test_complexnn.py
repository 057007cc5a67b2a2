# SPDX-License-Identifier: GPL-3.0-or-later
"""Complex layers: values against float64 references, gradients of every layer against finite differences, compiling."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_softmod.modem import complexnn as cnn
from gr_softmod.modem.complexnn import linear


def random_complex(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- linear maps


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 3),
    inputs=st.sampled_from([1, 2, 5, 24, 30]),
    outputs=st.integers(1, 3),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from([0, 1, 3]),
    batched=st.booleans(),
    bias=st.booleans(),
)
def test_conv1d_is_torchs_complex_convolution(
    groups, inputs, outputs, kernel, stride, dilation, padding, batched, bias
):
    layer = cnn.Conv1d(
        inputs * groups, outputs * groups, kernel, groups=groups, stride=stride, dilation=dilation, padding=padding,
        bias=bias, dtype=torch.complex128,
    )  # fmt: skip
    if bias:
        layer.bias.data = random_complex(outputs * groups, seed=1)
    signal = random_complex(*([2] if batched else []), inputs * groups, 12)
    expected = F.conv1d(signal, layer.weight, layer.bias, stride, padding, dilation, groups)
    torch.testing.assert_close(layer(signal), expected, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("mode", ["zeros", "circular", "replicate"])
def test_conv1d_same_padding_modes(mode):
    layer = cnn.Conv1d(2, 3, 5, padding="same", padding_mode=mode, dtype=torch.complex128)
    signal = random_complex(2, 2, 9)
    pad = {"zeros": "constant", "circular": "wrap", "replicate": "edge"}[mode]
    padded = torch.tensor(np.pad(signal.numpy(), ((0, 0), (0, 0), (2, 2)), mode=pad))
    torch.testing.assert_close(layer(signal), F.conv1d(padded, layer.weight, layer.bias))


@pytest.mark.parametrize("form", [linear._one_convolution, linear._three_convolutions])
def test_both_real_forms_are_accurate_in_float32(form):
    signal, weight = random_complex(2, 30, 40), random_complex(8, 30, 7, seed=1)
    real, imag = form(signal.to(torch.complex64), weight.to(torch.complex64), 1, {})
    expected = F.conv1d(signal, weight)
    assert (torch.complex(real, imag) - expected).abs().max() < 2e-5 * expected.abs().max()


def test_conv1d_under_autocast_keeps_the_signals_dtype():
    layer, signal = cnn.Conv1d(3, 4, 5), random_complex(2, 3, 20, dtype=torch.complex64)
    plain = layer(signal)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(signal)
    assert out.dtype == torch.complex64
    error = (out - plain).abs().max() / plain.abs().max()
    assert 0 < error < 0.02  # bfloat16 has 8 bits: it was used, and only there


def test_linear_is_a_matrix_product_and_takes_float64():
    layer, z = cnn.Linear(5, 3, dtype=torch.complex128), random_complex(4, 7, 5)
    layer.bias.data = random_complex(3, seed=1)
    np.testing.assert_allclose(
        layer(z).detach(), z.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), atol=1e-13
    )


# ---------------------------------------------------------------- initial values


@pytest.mark.parametrize("shape", [(200, 300), (64, 32, 9)])
@pytest.mark.parametrize("fill,gain", [(cnn.glorot_, 1.0), (cnn.he_, math.sqrt(2))])
def test_initial_variance_and_phase(shape, fill, gain):
    w = fill(torch.empty(shape, dtype=torch.complex128), generator=torch.Generator().manual_seed(1))
    taps = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * taps, shape[0] * taps
    expected = 2 / (fan_in + fan_out) if fill is cnn.glorot_ else gain**2 / fan_in
    assert w.abs().square().mean().item() == pytest.approx(expected, rel=0.03)
    assert scipy.stats.kstest(w.angle().flatten(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3
    assert scipy.stats.kstest(w.abs().flatten(), "rayleigh", args=(0, math.sqrt(expected / 2))).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3), (4, 3, 5), (20, 3, 5)])
def test_unitary_rows_or_columns_are_orthonormal(shape):
    w = cnn.unitary_(torch.empty(shape, dtype=torch.complex128), gain=2.0).flatten(1).numpy() / 2
    gram = w @ w.conj().T if w.shape[0] <= w.shape[1] else w.conj().T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_unitary_is_uniform_over_the_unitary_group():
    """The eigenvalues of a Haar matrix have uniform phases; those of a bare QR factor do not (Mezzadri 2007)."""
    generator = torch.Generator().manual_seed(2)
    matrices = [cnn.unitary_(torch.empty(4, 4, dtype=torch.complex128), generator=generator) for _ in range(500)]
    phases = torch.linalg.eigvals(torch.stack(matrices)).angle().flatten()
    assert scipy.stats.kstest(phases, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


def test_he_keeps_the_power_through_crelu():
    """One layer with the gain of He: E|y|^2 of CReLU(W z) about its input's for circular z. Two thirds pass exactly
    half; what CReLU adds as a mean is counted."""
    z = random_complex(2000, 256)
    w = cnn.he_(torch.empty(256, 256, dtype=torch.complex128), generator=torch.Generator().manual_seed(3))
    assert cnn.CReLU()(z @ w.T).abs().square().mean().item() == pytest.approx(1, rel=0.05)


# ---------------------------------------------------------------- activations, dropout, pooling


Z = torch.tensor([0, 3 + 4j, -3 + 4j, 0.1j, -2.0, 1e-30 + 0j], dtype=torch.complex128)


def test_activations_are_their_formulas():
    z = Z.numpy()
    r, unit = np.abs(z), np.exp(1j * np.angle(z))
    np.testing.assert_allclose(cnn.CReLU()(Z), np.maximum(z.real, 0) + 1j * np.maximum(z.imag, 0))
    np.testing.assert_allclose(cnn.ModReLU(0.5)(Z), np.maximum(r - 0.5, 0) * unit, atol=1e-7)
    grown = (r + 0.5) * unit * (r > 0)
    np.testing.assert_allclose(cnn.ModReLU(-0.5)(Z), grown, atol=1e-7)
    np.testing.assert_allclose(cnn.Cardioid()(Z), 0.5 * (1 + np.cos(np.angle(z))) * z, atol=1e-15)


def test_adaptive_modrelu_has_a_threshold_a_channel():
    layer = cnn.AdaptiveModReLU(2)
    layer.threshold.data = torch.tensor([0.0, 10.0])
    z = random_complex(3, 2, 4)
    torch.testing.assert_close(layer(z)[:, 0], z[:, 0])
    assert layer(z)[:, 1].abs().max() == 0


@pytest.mark.parametrize("layer", [cnn.CReLU(), cnn.ModReLU(0.5), cnn.ModReLU(-0.5), cnn.Cardioid()], ids=str)
def test_gradient_at_zero_is_finite(layer):
    z = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    layer(z).abs().square().sum().backward()
    assert torch.isfinite(torch.view_as_real(z.grad)).all()


@pytest.mark.parametrize("whole_channels", [False, True])
def test_dropout_drops_whole_numbers_and_keeps_the_mean(whole_channels):
    torch.manual_seed(0)
    z = torch.full((200, 50, 20), 1 - 1j)
    layer = cnn.Dropout(0.3, whole_channels=whole_channels)
    out = layer(z)
    kept = out != 0
    assert torch.equal(out[kept], torch.full_like(out[kept], (1 - 1j) / 0.7))
    assert kept.double().mean().item() == pytest.approx(0.7, abs=0.02)
    if whole_channels:
        assert torch.equal(kept.any(-1), kept.all(-1))
    assert layer.eval()(z) is z


def test_pooling_takes_the_largest_modulus_with_its_phase():
    z = random_complex(2, 3, 17)
    out = cnn.ModulusMaxPool1d(4, stride=3, padding=1)(z).numpy()
    padded = np.pad(z.numpy(), ((0, 0), (0, 0), (1, 1)))
    for m in range(out.shape[-1]):
        window = padded[..., 3 * m : 3 * m + 4]
        best = np.take_along_axis(window, np.abs(window).argmax(-1)[..., None], -1)[..., 0]
        np.testing.assert_array_equal(out[..., m], best)


# ---------------------------------------------------------------- every layer


LAYERS = {
    "linear": (lambda: cnn.Linear(4, 3, dtype=torch.complex128), (3, 4)),
    "conv one": (lambda: cnn.Conv1d(2, 3, 3, padding=1, dtype=torch.complex128), (2, 2, 5)),
    "conv three": (lambda: cnn.Conv1d(24, 1, 2, dtype=torch.complex128), (1, 24, 3)),
    "batch norm": (lambda: cnn.BatchNorm(2), (4, 2, 3)),
    "batch norm eval": (lambda: cnn.BatchNorm(2).eval(), (4, 2, 3)),
    "layer norm": (lambda: cnn.LayerNorm(4), (3, 4)),
    "layer norm whitened": (lambda: cnn.LayerNorm(4, whitened=True), (3, 4)),
    "crelu": (cnn.CReLU, (5,)),
    "modrelu": (lambda: cnn.ModReLU(0.2, trainable=True), (5,)),
    "adaptive modrelu": (lambda: cnn.AdaptiveModReLU(3, 0.2), (2, 3, 2)),
    "cardioid": (cnn.Cardioid, (5,)),
    "dropout": (lambda: cnn.Dropout(0.4), (2, 5)),
    "pooling": (lambda: cnn.ModulusMaxPool1d(2), (1, 2, 6)),
}


def double(parameter):
    return parameter.detach().to(torch.complex128 if parameter.is_complex() else torch.float64).requires_grad_()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_to_input_and_parameters_are_finite_differences(name):
    build, shape = LAYERS[name]
    torch.manual_seed(1)
    layer = build()
    parameters = {key: double(value) for key, value in layer.named_parameters()}

    def run(z, *values):
        torch.manual_seed(2)
        return torch.func.functional_call(layer, dict(zip(parameters, values, strict=True)), z)

    inputs = (random_complex(*shape, seed=3).requires_grad_(), *parameters.values())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=name == "conv three")  # random directions: it has many


@pytest.mark.parametrize("name", LAYERS)
def test_layers_compile_in_one_graph(name):
    build, shape = LAYERS[name]
    layer, z = build(), random_complex(*shape)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    if name == "dropout":
        assert compiled(z).shape == z.shape
    else:
        torch.testing.assert_close(compiled(z), layer(z))


@pytest.mark.parametrize("name", LAYERS)
def test_complex64_stays_complex64(name):
    build, shape = LAYERS[name]
    if "linear" in name or "conv" in name:
        build = {"linear": lambda: cnn.Linear(4, 3)}.get(name, lambda: cnn.Conv1d(shape[1], 3, 2))
    assert build()(random_complex(*shape, dtype=torch.complex64)).dtype == torch.complex64


def test_a_small_network_learns_to_undo_a_channel():
    """Equalise two-tap interference of QPSK: the whole stack trains."""
    torch.manual_seed(0)
    symbols = (torch.randint(0, 2, (8, 1, 64, 2)) * 2.0 - 1).squeeze(1) / math.sqrt(2)
    sent = torch.view_as_complex(symbols)[:, None]
    received = sent + (0.4 + 0.3j) * torch.roll(sent, 1, -1)
    conv = lambda i, o: cnn.Conv1d(i, o, 5, padding=2, padding_mode="circular")  # noqa: E731
    net = torch.nn.Sequential(conv(1, 8), cnn.BatchNorm(8), cnn.AdaptiveModReLU(8), conv(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        loss = (net(received) - sent).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 < 0.25 < losses[0]


@pytest.mark.parametrize(
    "build",
    [
        lambda: cnn.Linear(2, 2, dtype=torch.float32),
        lambda: cnn.conv1d(torch.zeros(1, 1, 4), torch.zeros(1, 1, 2)),
        lambda: cnn.glorot_(torch.zeros(2, 2)),
        lambda: cnn.unitary_(torch.zeros(3, dtype=torch.complex64)),
        lambda: cnn.BatchNorm(3)(torch.zeros(2, 3)),
        lambda: cnn.BatchNorm(3)(torch.zeros(2, 4, dtype=torch.complex64)),
        lambda: cnn.BatchNorm(3)(torch.zeros(1, 3, dtype=torch.complex64)),
        lambda: cnn.LayerNorm(3)(torch.zeros(3, 2, dtype=torch.complex64)),
        lambda: cnn.AdaptiveModReLU(3)(torch.zeros(2, 2, dtype=torch.complex64)),
        lambda: cnn.Dropout(1.0),
    ],
)
def test_wrong_values_are_refused(build):
    with pytest.raises(ValueError, match="must|is|needs"):
        build()
