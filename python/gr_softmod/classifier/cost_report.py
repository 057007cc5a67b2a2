# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod cost``: what networks cost, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gr_softmod.classifier.bit_search import nonzero_weights
from gr_softmod.classifier.cost import Cost, graph_cost, model_cost
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.trained import load_network, open_run
from gr_softmod.model_file import read

__all__ = ["network_cost", "run_cost", "table"]

#: Published with the entry of Imperial College, pruned, on RadioML 2018.01A: accuracy, BOPs, weight bits, score.
PUBLISHED = {
    "Imperial, w8a8": (0.6042, 79_588_160, 819_328, 0.378),
    "Imperial, w6a6": (0.5834, 30_614_424, 312_204, 0.144),
    "Imperial, w4-5": (0.564, 21_084_790, 242_983, 0.1106),
}


def run_cost(paths: Sequence[str], *, published: bool = True) -> None:
    """What ``softmod cost RUN|MODEL...`` does: prints a table, and leaves ``cost.json`` in each run directory.

    Raises:
        RunError, ModelFileError, OSError: each with one line of text for the person who called.
    """
    costs: dict[str, Cost] = {}
    for path in paths:
        if Path(path).is_file():
            costs[path] = model_cost(read(path))
        else:
            run = open_run(path)
            costs[path] = network_cost(load_network(run))
            run.write_json("cost.json", costs[path].to_dict())
    Console().print(table(costs, published))


def network_cost(network: Network) -> Cost:
    """The cost of a torch network, float or quantised; weights that are (rounded to) zero count nothing."""
    if isinstance(network, QuantNetwork):
        kept = nonzero_weights(network)
    else:
        layers = network.weighted().items()
        kept = {name: int(torch.count_nonzero(weighted.layer.weight)) for name, weighted in layers}  # type: ignore[arg-type]
    return graph_cost(network.graph, kept)


def table(costs: Mapping[str, Cost], published: bool = True) -> Table:
    """One row a network; the features' multiplications stand beside the score, which leaves them out."""
    result = Table(
        caption="MACs: multiplications; BOPs: bit operations. The score leaves the BOPs of features out.",
        box=SIMPLE,
        caption_justify="left",
    )
    result.add_column("network", overflow="fold")
    for name in ("MACs", "BOPs", "weight bits", "score", "of features"):
        result.add_column(name, justify="right", no_wrap=True)
    for name, cost in costs.items():
        features = f"{cost.feature_bops:,}" if cost.feature_bops else "-"
        result.add_row(name, f"{cost.macs:,}", f"{cost.bops:,}", f"{cost.weight_bits:,}", f"{cost.score:.4f}", features)
    for name, (_, bops, bits, score) in PUBLISHED.items() if published else ():
        result.add_row(name, "", f"{bops:,}", f"{bits:,}", f"{score:.4f}", "?", style="dim")
    return result
