# SPDX-License-Identifier: GPL-3.0-or-later
"""The quantised link against Bayes' rule by brute force, and that its gradients do what they say."""

import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_softmod.modem import seeded_generator
from gr_softmod.modem.channel import AWGN, Channel, RicianFading
from gr_softmod.modem.quantized_link import QuantizedLink, index_bits, index_logits, soft_lookup


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded_generator(seed))


def error(estimate, vectors):
    return (estimate - vectors).square().mean().item()


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 6), dimension=st.integers(1, 5), count=st.integers(1, 9), seed=st.integers(0, 1000))
def test_index_bits_are_those_of_the_nearest_code_word(bits, dimension, count, seed):
    codebook, vectors = normal(2**bits, dimension, seed=seed), normal(2, count, dimension, seed=seed + 1)
    nearest = ((vectors[..., None, :] - codebook) ** 2).sum(-1).argmin(-1).numpy()
    expected = (nearest[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    got = index_bits(vectors, codebook)
    assert np.array_equal(got.numpy(), expected.reshape(2, -1))  # exactly 0 and 1


def test_gradient_of_index_bits_is_that_of_the_soft_choice():
    codebook, vectors = normal(8, 3).requires_grad_(), normal(5, 3, seed=1).requires_grad_()
    weight = normal(15, seed=2)
    (index_bits(vectors, codebook, 0.7) * weight).sum().backward()
    got = vectors.grad.clone(), codebook.grad.clone()
    vectors.grad = codebook.grad = None
    distance = ((vectors[:, None] - codebook) ** 2).sum(-1)
    scale = distance.min(-1).values.mean().item()
    probability = torch.softmax(-distance / (0.7 * scale), -1)
    label = torch.tensor([[(i >> k) & 1 for k in (2, 1, 0)] for i in range(8)], dtype=torch.float64)
    ((probability @ label).flatten() * weight).sum().backward()
    torch.testing.assert_close(got, (vectors.grad, codebook.grad))


@pytest.mark.parametrize("with_prior", [False, True])
def test_soft_lookup_is_bayes_rule_for_bpsk(with_prior):
    """E[c | y] by summing exp(-|y - s_i|^2 / noise_var) over all indices, in numpy."""
    noise_var, codebook = 0.8, normal(16, 3)
    prior = np.random.default_rng(0).dirichlet(np.ones(16)) if with_prior else np.full(16, 1 / 16)
    signs = 1 - 2 * ((np.arange(16)[:, None] >> np.arange(3, -1, -1)) & 1)  # bit 0 at +1
    y = normal(6, 4, seed=3).numpy() * 1.2
    likelihood = np.exp(-((y[:, None] - signs) ** 2).sum(-1) / noise_var) * prior
    expected = likelihood @ codebook.numpy() / likelihood.sum(-1, keepdims=True)
    llr = torch.tensor(-4 * y / noise_var).flatten()
    log_prior = torch.tensor(np.log(prior)) if with_prior else None
    np.testing.assert_allclose(soft_lookup(llr, codebook, log_prior), expected, atol=1e-12)


def test_soft_lookup_is_the_conditional_mean_over_the_channel():
    """The error of a conditional mean is orthogonal to it, and no scaling of it does better."""
    codebook = normal(16, 4)
    sent = codebook[torch.randint(0, 16, (1, 40_000), generator=seeded_generator(4))]
    out = QuantizedLink("qpsk").double()(sent, codebook, 0.7, generator=seeded_generator(5))
    assert abs(((sent - out.soft) * out.soft).mean().item()) < 0.01
    assert error(out.soft, sent) < 0.85 * error(out.hard, sent)
    for scale in (0.9, 1.1):
        assert error(scale * out.soft, sent) > error(out.soft, sent)


@pytest.mark.parametrize("constellation,size", [("qpsk", 8), ("16qam", 8), ("bpsk", 2), ("64qam", 256), ("8psk", 32)])
def test_without_noise_the_code_word_arrives(constellation, size):
    """Sizes whose bits do not fill whole symbols are padded."""
    codebook, vectors = normal(size, 3), normal(2, 5, 3, seed=1)
    out = QuantizedLink(constellation)(vectors.float(), codebook.float(), 1e-4, generator=seeded_generator(0))
    nearest = codebook[((vectors[..., None, :] - codebook) ** 2).sum(-1).argmin(-1)].float()
    torch.testing.assert_close(out.hard, nearest)
    torch.testing.assert_close(out.soft, nearest, atol=1e-5, rtol=1e-5)
    assert out.llr.shape == (2, 5 * int(math.log2(size)))


def test_hard_output_is_bit_by_bit_decision():
    codebook, vectors = normal(16, 3), normal(1, 200, 3, seed=1)
    out = QuantizedLink("qpsk")(vectors.float(), codebook.float(), 1.0, generator=seeded_generator(1))
    index = ((out.llr > 0).reshape(-1, 4) * torch.tensor([8, 4, 2, 1])).sum(-1)
    torch.testing.assert_close(out.hard[0], codebook.float()[index])


def test_a_prior_lowers_the_error():
    codebook = normal(16, 2)
    weights = torch.tensor([2.0**-i for i in range(16)]).double()
    log_prior = (weights / weights.sum()).log()
    draws = torch.multinomial(weights, 20_000, replacement=True, generator=seeded_generator(2))
    sent = codebook[draws][None]
    link = QuantizedLink("qpsk").double()
    plain = link(sent, codebook, 2.0, generator=seeded_generator(3))
    informed = link(sent, codebook, 2.0, generator=seeded_generator(3), log_prior=log_prior)
    assert error(informed.soft, sent) < 0.8 * error(plain.soft, sent)
    assert error(informed.hard, sent) < error(plain.hard, sent)


def test_receiver_may_have_its_own_code_book():
    codebook, other = normal(4, 2), normal(4, 5, seed=1)
    link = QuantizedLink()
    out = link(codebook[None].float(), codebook.float(), 1e-4, receiver_codebook=other.float())
    torch.testing.assert_close(out.hard[0], other.float())


def test_gradients_of_the_lookup():
    llr, codebook, prior = normal(6).requires_grad_(), normal(8, 3).requires_grad_(), normal(8).requires_grad_()
    assert torch.autograd.gradcheck(soft_lookup, (llr, codebook, prior))


def test_gradients_reach_everything_through_a_composed_channel():
    channel = Channel(RicianFading(10.0), AWGN())
    link = QuantizedLink("16qam", channel)
    vectors, codebook = normal(3, 6, 2).float().requires_grad_(), normal(16, 2).float().requires_grad_()
    noise_var = torch.tensor(0.1, requires_grad=True)
    out = link(vectors, codebook, noise_var, generator=seeded_generator(1))
    (out.soft - vectors.detach()).square().mean().backward()
    for tensor in (vectors, codebook, noise_var):
        assert torch.isfinite(tensor.grad).all() and tensor.grad.abs().sum() > 0


def test_vectors_on_code_words_have_finite_gradients():
    codebook = normal(4, 2).requires_grad_()
    index_bits(codebook.detach()[None], codebook).sum().backward()
    assert torch.isfinite(codebook.grad).all()


def test_training_through_the_channel_lowers_the_error():
    """A code book in random order: neighbours in bits are strangers. Training through the noise repairs that."""
    generator = seeded_generator(6)
    line = torch.linspace(-1.5, 1.5, 16)[torch.randperm(16, generator=generator)][:, None]
    codebook, link = line.clone().requires_grad_(), QuantizedLink("qpsk")
    optimizer = torch.optim.Adam([codebook], lr=0.03)

    def loss(step, book):
        vectors = torch.randn(1, 2000, 1, generator=seeded_generator(7, step))
        out = link(vectors, book, 0.8, generator=seeded_generator(8, step))
        return (out.soft - vectors).square().mean()

    for step in range(150):
        optimizer.zero_grad()
        loss(step, codebook).backward()
        optimizer.step()
    with torch.no_grad():
        assert loss(10_000, codebook) < 0.8 * loss(10_000, line)


def test_works_with_vector_quantize_pytorch():
    vq_module = pytest.importorskip("vector_quantize_pytorch", reason="the extra `vq` is not installed")
    torch.manual_seed(0)
    vectors = torch.randn(1, 400, 4)
    vq = vq_module.VectorQuantize(dim=4, codebook_size=32, learnable_codebook=True, ema_update=False)
    quantized, indices, _ = vq.eval()(vectors)
    out = QuantizedLink("qpsk")(vectors, vq.codebook, 1e-4)
    torch.testing.assert_close(out.hard, quantized.detach(), atol=1e-5, rtol=1e-5)
    sent = index_bits(vectors, vq.codebook).reshape(400, 5).long() @ torch.tensor([16, 8, 4, 2, 1])
    assert torch.equal(sent, indices[0])
    out.soft.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vq.parameters())


def test_the_example_runs(tmp_path, monkeypatch):
    pytest.importorskip("vector_quantize_pytorch", reason="the extra `vq` is not installed")
    example = Path(__file__).resolve().parents[1] / "examples" / "vq_link.py"
    monkeypatch.setattr(sys, "argv", [str(example), "--out", str(tmp_path), "--steps", "2", "--vectors", "500"])
    runpy.run_path(str(example), run_name="__main__")
    report = json.loads((tmp_path / "vq_link.json").read_text())
    errors, bound = report["error"]["quantizer"], report["least_error"]
    assert all(b < s <= 1.1 * h for b, s, h in zip(bound, errors["soft"], errors["hard"], strict=True))
    assert errors["soft"][-1] == pytest.approx(report["quantization_error"]["quantizer"], rel=0.02)
    assert (tmp_path / "vq_link.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "run",
    [
        lambda: index_bits(torch.zeros(3, 2), torch.zeros(5, 2)),
        lambda: index_bits(torch.zeros(3, 2), torch.zeros(1, 2)),
        lambda: index_bits(torch.zeros(3, 2), torch.zeros(4)),
        lambda: index_bits(torch.zeros(3, 3), torch.zeros(4, 2)),
        lambda: index_bits(torch.zeros(3, 2), torch.zeros(4, 2), 0.0),
        lambda: index_logits(torch.zeros(5), 2),
        lambda: QuantizedLink()(torch.zeros(1, 3, 2), torch.zeros(4, 2), -1.0),
    ],
)
def test_wrong_values_are_refused(run):
    with pytest.raises(ValueError, match="must|do not"):
        run()
