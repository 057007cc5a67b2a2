# SPDX-License-Identifier: GPL-3.0-or-later
"""A run at 8 bits without learning again: ranges measured on 512 training frames, then judged.

    PYTHONPATH=build/python python benchmarks/classifier/post_training.py RUN OUT FRAMES

For networks whose quantised training would take hours on a CPU; 8 bits lose next to nothing that way.
"""

from __future__ import annotations

import sys

import torch

from gr_softmod.classifier.evaluate import predict, write_evaluation
from gr_softmod.classifier.metrics import judge
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.store import open_store
from gr_softmod.classifier.trained import load_network, load_saved, open_run, run_data
from gr_softmod.modem.checkpoint import save_checkpoint
from gr_softmod.run_dir import RunDir


def main(path: str, out: str, frames: int) -> None:
    """Quantise, judge, write."""
    torch.set_num_threads(1)
    source = open_run(path)
    saved, data = load_saved(source), run_data(source)
    network = load_network(source, saved)
    graph = saved.graph.with_bits(8, 8)
    quantised = QuantNetwork.from_network(network, graph)
    given = open_store(data, "train", data.train or 512).rows(torch.arange(512))
    quantised.measure(network, given.signal, given.features)
    quantised.eval()
    run = RunDir.create(out, {"run": path, "data": data.to_dict(), "frames": frames})
    extra = saved.extra(graph, "8 bits, ranges measured on 512 frames, nothing learnt again")
    save_checkpoint(run, {**extra, "score": saved.score, "weights": quantised.state_dict()}, "best")
    test = open_store(data, "test", frames)
    logits = predict(quantised, test, torch.device("cpu"), 256)
    result = judge(logits, test.labels.numpy(), test.snr_db.numpy(), graph.class_names)
    write_evaluation(run, result)
    print(f"{path}: {result['accuracy']} at 8 bits, validation in float {saved.score}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
