# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained links as ModelFiles: LLRs of torch, int8 beside float32, the verb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gr_softmod.config import load_config
from gr_softmod.model_file import read_demapper
from gr_softmod.modem.export_link import export_link, export_link_file, float_layers
from gr_softmod.modem.link import build_channel
from gr_softmod.modem.load import load_demodulator, load_modulator
from gr_softmod.modem.neural import NeuralDemapper
from gr_softmod.modem.train_link import Trainer
from gr_softmod.modem.trained_link import TrainLinkConfig, load_link, save_link
from gr_softmod.run_dir import RunDir

_kernels = pytest.importorskip("gr_softmod.bindings._kernels")

CONFIG = {
    "constellation": {"start": "16qam", "hidden": [16]},
    "channel": {"third_order": {"beta": -0.08}, "awgn": {}},
    "train": {"steps": 600, "rows": 16, "symbols": 64, "ebn0_db": [2, 16], "lr": 5e-3, "validate_every": 300},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A link after some seconds of training."""
    config = load_config(TrainLinkConfig, CONFIG)
    made = RunDir.create(tmp_path_factory.mktemp("links") / "link", config)
    torch.set_num_threads(1)
    trainer = Trainer(config, made)
    while trainer.step < config.train.steps:
        trainer.advance()
    save_link(made, trainer.best())
    return made


def received(run: RunDir, count: int, ebn0_db: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Bits, symbols behind the channel, noise_var."""
    config, link = load_link(run)
    generator = torch.Generator().manual_seed(3)
    noise_var = 10 ** (-ebn0_db / 10) / link.bits_per_symbol
    bits = torch.randint(0, 2, (count * link.bits_per_symbol,), generator=generator)
    with torch.no_grad():
        y = build_channel(config.channel)(link.modulator(bits, noise_var), noise_var=noise_var, generator=generator)
    return bits, y, noise_var


@pytest.mark.parametrize("ebn0_db", [3.0, 10.0, 16.0])
def test_the_exported_demapper_gives_torchs_llrs(run: RunDir, ebn0_db: float) -> None:
    _, y, noise_var = received(run, 5000, ebn0_db)
    with torch.no_grad():
        expected = load_link(run)[1].demapper(y, noise_var).numpy()
    kernel = _kernels.NeuralDemapper(export_link(run).to_bytes())
    error = np.abs(kernel.demap(y.numpy(), noise_var) - expected)
    assert np.all(error <= 1e-4 * np.maximum(1.0, np.abs(expected)))


def test_int8_errs_as_float32_does(run: RunDir) -> None:
    """At a bit error rate near 1e-2, where 0.02 dB is 1 % of it."""
    bits, y, noise_var = received(run, 400_000, 8.0)
    wrong = []
    for precision in ("float32", "int8"):
        kernel = _kernels.NeuralDemapper(export_link(run, precision).to_bytes())
        wrong.append((kernel.demap(y.numpy(), noise_var) > 0) != bits.numpy().astype(bool))
    rates = [w.mean() for w in wrong]
    assert 1e-3 < rates[0] < 5e-2
    assert rates[1] == pytest.approx(rates[0], rel=0.01)
    assert np.mean(wrong[0] != wrong[1]) < 0.1 * rates[0]


def test_points_and_file(run: RunDir, tmp_path: Path) -> None:
    path = export_link_file(str(run), str(tmp_path / "m.safetensors"), "int8")
    model, (config, link) = read_demapper(path), load_link(run)
    assert [layer.bits for layer in model.layers] == [32, 8, 32]
    assert model.trained_on["ebn0_db"] == list(config.train.ebn0_db)
    for noise_var in (0.2, 0.02):
        expected = link.constellation(noise_var).points
        assert np.max(np.abs(model.constellation(noise_var).points - expected)) < 0.02
    assert export_link_file(str(run), None, "float32") == Path(run) / "demapper_float32.safetensors"


def test_what_was_exported_loads_into_torch_again(run: RunDir, tmp_path: Path) -> None:
    path = export_link_file(str(run), str(tmp_path / "m.safetensors"), "float32")
    bits, y, noise_var = received(run, 500, 10.0)
    for load, arguments in ((load_demodulator, (y, noise_var)), (load_modulator, (bits, noise_var))):
        from_file, from_run = load(path)(*arguments), load(str(run))(*arguments)
        limit = 1e-4 * from_run.abs().clamp(min=1.0) if load is load_demodulator else 0.02
        assert torch.all((from_file - from_run).abs() <= limit)


def test_what_cannot_be_exported(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="activation is tanh"):
        float_layers(NeuralDemapper(2, activation="tanh"))
    config = load_config(TrainLinkConfig, CONFIG, ["demapper.hidden=[8]"])
    small = RunDir.create(tmp_path / "small", config)
    save_link(small, Trainer(config, small).link)
    with pytest.raises(ValueError, match="2 layers has none between"):
        export_link(small, "int8")
    assert len(export_link(small).layers) == 2


@pytest.mark.parametrize("load", [load_modulator, load_demodulator])
def test_what_is_no_model(load: object, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert callable(load)
    for source in (tmp_path / "absent", tmp_path / "text", tmp_path, torch.nn.Linear(2, 2)):
        with pytest.raises((ValueError, OSError)):
            load(source)


def test_the_verb_writes_a_file_and_says_where(run: RunDir, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from gr_softmod.cli import app

    out = tmp_path / "m.safetensors"
    done = CliRunner().invoke(app, ["export-link", str(run), "--int8", "--out", str(out)])
    assert done.exit_code == 0 and done.output.strip() == str(out)
    assert read_demapper(out).layers[1].bits == 8
    assert isinstance(CliRunner().invoke(app, ["export-link", str(tmp_path)]).exception, OSError)
