# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of the classifier is worth: the same training with one part left out or put in another form.

    PYTHONPATH=build/python python benchmarks/classifier/ablation.py RUNS STORE TEACHER

trains every variant that has no run directory in RUNS yet (or goes on training it), one of them with the run TEACHER as
its teacher, judges all on the same test frames, writes benchmarks/results/classifier_ablation.json and the table of
docs/classifier.md.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from complex_branch import ComplexNetwork

from gr_softmod.classifier.config import TrainConfig
from gr_softmod.classifier.evaluate import predict
from gr_softmod.classifier.fit import Fit, make_fabric
from gr_softmod.classifier.metrics import judge
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.store import open_store
from gr_softmod.classifier.train import fit_with_bar, make_stores, new_network, shared_run
from gr_softmod.classifier.trained import load_network, open_run
from gr_softmod.config import load_config
from gr_softmod.run_dir import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page import markdown_table, replace_section

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks/results/classifier_ablation.json"
TEST = 32_768
#: What differs from the configuration; "complex" is the network with native complex layers, "teacher" a run.
VARIANTS: dict[str, dict[str, Any]] = {
    "both": {},
    "features alone": {"arguments": {"branches": ["expert"]}},
    "convolutions alone": {"arguments": {"branches": ["signal"]}},
    "both, no auxiliary heads": {"arguments": {"auxiliary": False}},
    "both, distilled from itself trained four times as long": {"teacher": True},
    "convolutions alone, complex layers": {"arguments": {"branches": ["signal"]}, "complex": True},
    "both, complex layers": {"complex": True},
}


def main(runs: Path, store: Path, teacher: Path) -> None:
    """Train, judge, write."""
    results = {}
    for name, change in VARIANTS.items():
        network, products = _trained(name, change, runs, store, teacher)
        results[name] = {**_judged(network, store), "multiplications": products, "weights": _weights(network)}
        print(name, json.dumps(results[name]), flush=True)
    RESULT.write_text(json.dumps({"variants": results, "machine": machine()}, indent=1) + "\n")
    rows = [
        [
            name,
            f"{100 * row['accuracy']['value']:.2f} %",
            f"{100 * row['accuracy']['interval'][0]:.2f} to {100 * row['accuracy']['interval'][1]:.2f} %",
            f"{100 * row['accuracy_good']['value']:.2f} %",
            f"{row['multiplications']:,}",
            f"{row['weights']:,}",
        ]
        for name, row in results.items()
    ]
    header = ["", "accuracy", "95 % interval", "at 10 dB and more", "multiplications", "weights"]
    replace_section(ROOT / "docs/classifier.md", "ablation", markdown_table(header, rows))


def _config(change: dict[str, Any], store: Path) -> TrainConfig:
    return load_config(
        TrainConfig,
        {
            "data": {"preset": "radioml2018", "train": 524_288, "store": str(store)},
            "model": {"architecture": "softmod", "arguments": change.get("arguments", {})},
            "train": {
                "steps": 1024, "batch": 128, "lr": 4e-3, "validate_every": 512,
                "distillation": 0.5 if change.get("teacher") else 0.0,
            },
        },
    )  # fmt: skip


def _trained(name: str, change: dict[str, Any], runs: Path, store: Path, teacher: Path) -> tuple[Network, int]:
    config = _config(change, store)
    fabric = make_fabric(config.device)
    run = shared_run(fabric, runs / name.replace(" ", "_").replace(",", ""), config)
    feed, validation = make_stores(config, fabric)
    network = new_network(config, feed)
    products = multiplications(network)
    if change.get("complex"):
        torch.manual_seed(config.seed)
        plain, network = network, ComplexNetwork(network.graph)
        if network.scaler is not None and plain.scaler is not None:
            network.scaler.load_state_dict(plain.scaler.state_dict())
        products = products - network.replaced_products() + network.branch.products()
    word = load_network(open_run(teacher)) if change.get("teacher") else None
    extra = {"graph": network.graph.to_dict(), "trained_on": {}, "title": name, "history": []}
    fit = Fit(run, network, feed, validation, config.train, fabric, seed=config.seed, teacher=word, extra=extra)
    fit_with_bar(fit, name)
    return fit.load_best(), products


def _judged(network: Network, store: Path) -> dict[str, Any]:
    test = open_store(_config({}, store).data, "test", TEST)
    logits = predict(network, test, torch.device("cpu"))
    result = judge(logits, test.labels.numpy(), test.snr_db.numpy(), network.graph.class_names)
    return {key: result[key] for key in ("accuracy", "accuracy_good", "cross_entropy")}


def multiplications(network: Network) -> int:
    """Of a frame, beside the features'."""
    shapes, weights = network.graph.shapes(), network.graph.weight_shapes()
    return sum(
        math.prod(weights[node.name]) * (shapes[node.name][1] if node.op == "conv" else 1)
        for node in network.graph.weighted()
    )


def _weights(network: Network) -> int:
    """Real numbers in the weights of what is used after training."""
    return sum(
        p.numel() * (2 if p.is_complex() else 1)
        for name, p in network.named_parameters()
        if p.ndim > 1 and not name.startswith("auxiliary.")
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
