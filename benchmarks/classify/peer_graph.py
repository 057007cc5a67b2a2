# SPDX-License-Identifier: GPL-3.0-or-later
"""A ModelFile in the form that onnxruntime and OpenVINO turn into 8-bit kernels: the peers at their fastest.

The same integer weights; the scale of a channel is that of its weights, activations have scale 1, and every operation
stands between DequantizeLinear and QuantizeLinear, which is the pattern that both fuse. Two liberties, both in the
peers' favour: activations of fewer than 8 bits are not clipped to their range, and the input is already quantised.
Offsets become biases in steps of the channel's scale, so that results may differ by a step from the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gr_softmod.model_file import ModelFile, ModelNode

SIGNED_ZERO = 128  # activations are uint8 for both: the faster form on x86


def write(model: ModelFile, path: Path, batch: int, dimensions: int) -> None:
    """``dimensions`` of a convolution: 1, or 2 with a height of 1."""
    onnx.save(_Writer(model, batch, dimensions).graph(), path)


class _Writer:
    def __init__(self, model: ModelFile, batch: int, dimensions: int) -> None:
        self.model, self.batch, self.flat = model, batch, dimensions == 1
        self.shapes, self.ranges = model.shapes(), model.ranges()
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.stored: dict[str, str] = {}  # name of a node's uint8 result

    def graph(self) -> onnx.ModelProto:
        inputs = []
        for node in self.model.nodes:
            if node.op in ("iq", "features"):
                shape = self._shape(node.name)
                inputs.append(helper.make_tensor_value_info(node.op, TensorProto.UINT8, [self.batch, *shape]))
                self.stored[node.name] = node.op
            else:
                self._node(node)
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [self.batch, len(self.model.class_names)])
        graph = helper.make_graph(self.nodes, "peer", inputs, [logits], self.tensors)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(proto)
        return proto

    def _shape(self, name: str) -> list[int]:
        shape = list(self.shapes[name])
        return shape if self.flat or len(shape) == 1 else [shape[0], 1, shape[1]]

    def constant(self, array: Any) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def zero(self, name: str) -> str:
        return self.constant(np.uint8(SIGNED_ZERO if self.ranges[name][0] < 0 else 0))

    def read(self, name: str, scale: float = 1.0) -> str:
        return self.op("DequantizeLinear", self.stored[name], self.constant(np.float32(scale)), self.zero(name))

    def store(self, name: str, value: str) -> None:
        self.stored[name] = self.op("QuantizeLinear", value, self.constant(np.float32(1)), self.zero(name))

    def weights(self, node: ModelNode) -> tuple[str, str]:
        """Weight and bias of a convolution or dense layer."""
        tensors = self.model.tensors
        weight, scale, offset = (tensors[f"{node.name}.{key}"] for key in ("weight", "scale", "offset"))
        sign = np.where(scale < 0, -1, 1).astype(np.int8).reshape(-1, *[1] * (weight.ndim - 1))
        step = np.maximum(np.abs(scale), np.float32(1e-9))
        if node.op == "conv" and not self.flat:
            weight, sign = weight[:, :, None], sign[:, :, None]
        bias = np.clip(np.rint(offset / step), -(2**30), 2**30).astype(np.int32)
        zeros: NDArray[np.int8] = np.zeros(len(step), np.int8)
        return (
            self.op(
                "DequantizeLinear", self.constant(weight * sign), self.constant(step), self.constant(zeros), axis=0
            ),
            self.op(
                "DequantizeLinear", self.constant(bias), self.constant(step),
                self.constant(np.zeros(len(step), np.int32)), axis=0,
            ),
        )  # fmt: skip

    def window(self, kernel: int, stride: int) -> dict[str, list[int]]:
        one = [] if self.flat else [1]
        return {"kernel_shape": [*one, kernel], "strides": [*one, stride]}

    def rows(self, name: str, scale: float = 1.0) -> str:
        value = self.read(name, scale)
        return value if len(self.shapes[name]) == 1 else self.op("Flatten", value, axis=1)

    def _node(self, node: ModelNode) -> None:
        source = node.inputs[0]
        scale = self.model.tensors.get(f"{node.name}.scale", np.ones(1, np.float32))
        if node.op == "conv":
            none = [] if self.flat else [0]
            pads = [*none, node.padding[0], *none, node.padding[1]]
            value = self.op(
                "Conv", self.read(source), *self.weights(node), group=node.groups, pads=pads,
                **self.window(node.kernel, node.stride),
            )  # fmt: skip
        elif node.op == "dense":
            last = "logits" if node.output is None else ""
            value = self.op("Gemm", self.rows(source), *self.weights(node), transB=1, output=last)
            if last:
                return
        elif node.op == "max_pool":
            value = self.op("MaxPool", self.read(source), **self.window(node.kernel, node.stride))
        elif node.op == "global_max_pool":
            pooled = self.op("MaxPool", self.read(source), **self.window(self.shapes[source][1], 1))
            value = self.op("Flatten", pooled, axis=1)
        elif node.op == "avg_pool":
            read = self.read(source, float(scale[0]) * node.kernel)
            value = self.op("AveragePool", read, **self.window(node.kernel, node.stride))
        elif node.op == "global_avg_pool":
            pooled = self.op("GlobalAveragePool", self.read(source, float(scale[0]) * self.shapes[source][1]))
            value = self.op("Flatten", pooled, axis=1)
        elif node.op == "add":
            value = self.op("Add", *(self.read(name, float(s)) for name, s in zip(node.inputs, scale, strict=True)))
        else:
            parts = [self.rows(name, float(s)) for name, s in zip(node.inputs, scale, strict=True)]
            value = self.op("Concat", *parts, axis=1)
        if node.op in ("avg_pool", "global_avg_pool"):
            offset = self.model.tensors[f"{node.name}.offset"]
            value = self.op("Add", value, self.constant(offset)) if offset[0] else value
        self.store(node.name, value)
