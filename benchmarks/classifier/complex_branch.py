# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolutions of the classifier in native complex layers, with about as many real multiplications.

A real convolution of C channels becomes a complex one of C / 2 channels: four real products where there were four. A
complex depthwise kernel costs twice a real one of its length, so it is half as long.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network, module_name
from gr_softmod.modem.complexnn import BatchNorm, Conv1d, CReLU


class ComplexBranch(nn.Module):
    """Signal [B, 2, N] to [B, C]: mean modulus and mean power of C / 2 complex channels."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self._products, width, time = 0, 1, graph.frame_length
        for node in (node for node in graph.weighted() if node.op == "conv"):
            depthwise = node.groups > 1
            out = width if depthwise else node.channels // 2
            kernel = (node.kernel + 1) // 2 if depthwise else node.kernel
            kernel = kernel + 1 - kernel % 2 if depthwise else kernel
            padding = max(0, kernel - node.stride + 1) // 2
            groups = width if depthwise else 1
            layers += [
                Conv1d(width, out, kernel, stride=node.stride, padding=padding, groups=groups, bias=False),
                BatchNorm(out),
                CReLU(),
            ]
            time = (time + 2 * padding - kernel) // node.stride + 1
            self._products += 4 * out * (width // groups) * kernel * time
            width = out
        self.layers = nn.Sequential(*layers)

    def products(self) -> int:
        """Real multiplications of a frame."""
        return self._products

    def forward(self, signal: Tensor) -> Tensor:
        z = self.layers(torch.complex(signal[:, :1], signal[:, 1:]))
        power = z.real.square() + z.imag.square()
        return torch.cat([(power + 1e-12).sqrt().mean(-1), power.mean(-1)], 1)


class ComplexNetwork(Network):
    """The network of a ``softmod`` graph with :class:`ComplexBranch` in place of its convolutions."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        for node in graph.weighted():
            if node.op == "conv":
                del self.nodes[module_name(node.name)]
        self.branch = ComplexBranch(graph)

    def replaced_products(self) -> int:
        """Real multiplications of the convolutions that are not there."""
        shapes, weights = self.graph.shapes(), self.graph.weight_shapes()
        return sum(
            torch.Size(weights[n.name]).numel() * shapes[n.name][1] for n in self.graph.weighted() if n.op == "conv"
        )

    def _evaluate(self, signal: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        results = {"signal": self.branch(signal)}
        for node in self.graph.nodes:
            if node.name not in results and node.op not in ("iq", "conv"):
                results[node.name] = self._node(node, [results[name] for name in node.inputs], signal, rows)
        return results
