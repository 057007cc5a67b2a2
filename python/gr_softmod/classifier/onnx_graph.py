# SPDX-License-Identifier: GPL-3.0-or-later
"""A ModelFile as ONNX: QDQ for onnxruntime, QONNX for hardware flows. Needs the package ``onnx``, not torch.

Both graphs compute on integers held in float32 (weights and activations have scale 1) and scale the sums of products
explicitly, as ``docs/model_file.md`` says. So a runtime that evaluates them as written gives the integer reference's
logits to the last bit; scales inside the quantisers would move the roundings.

Inputs: ``iq`` float32 [batch, 2, N], I then Q, and, for a model with features, ``features`` float32 [batch, F]: their
values by ``docs/features.md`` (complex arithmetic, which ONNX has not), named in the metadata. Output: ``logits``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gr_softmod.model_file import ModelFile, ModelNode, Range

_OPSET = 17
_QONNX = "qonnx.custom_op.general"
_SILENCE = 1e-60


def qdq(model: ModelFile) -> onnx.ModelProto:
    """For onnxruntime: any batch; ``iq`` are raw frames, normalised in the graph.

    Weights are int8 tensors behind DequantizeLinear, activations pass QuantizeLinear and DequantizeLinear.
    """
    return _Writer(model, _Qdq).write(normalise=True, batch="batch")


def qdq_fused(model: ModelFile) -> onnx.ModelProto:
    """As :func:`qdq`, in the form that onnxruntime turns into its own int8 kernels: faster, not exact.

    Scales lie in the weights' DequantizeLinear, offsets are int32 biases: rounded to whole accumulator steps, which
    moves some results by one. Layers whose results have fewer than 8 bits keep a Clip and with it float arithmetic.
    """
    return _Writer(model, _FusedQdq).write(normalise=True, batch="batch")


def _window(node: ModelNode) -> dict[str, list[int]]:
    return {"kernel_shape": [node.kernel], "strides": [node.stride]}


def qonnx(model: ModelFile) -> onnx.ModelProto:
    """For FINN, hls4ml and ``qonnx.util.inference_cost``: batch 1; ``iq`` are frames of unit power already.

    Weights and activations pass Quant nodes with their bits. Sums of ``avg_pool`` are averages times their length here,
    equal to rounding.
    """
    return _Writer(model, _Quant).write(normalise=False, batch=1)


class _Writer:
    """Nodes, tensors and names of one graph."""

    def __init__(self, model: ModelFile, dialect: Callable[[_Writer], _Dialect]) -> None:
        self.model = model
        self.ranges, self.shapes = model.ranges(), model.shapes()
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, onnx.TensorProto] = {}
        self.count = 0
        self.quant = dialect(self)

    def write(self, normalise: bool, batch: int | str) -> onnx.ModelProto:
        model = self.model
        inputs: list[onnx.ValueInfoProto] = []
        results: dict[str, str] = {}
        for node in model.nodes:
            if node.op in ("iq", "features"):
                shape = [batch, *self.shapes[node.name]]
                inputs.append(helper.make_tensor_value_info(node.op, TensorProto.FLOAT, shape))
            if node.op == "iq":
                value = self._normalised() if normalise else "iq"
                value = self.op("Mul", value, self._tensor(node, "scale"))
            elif node.op == "features":
                value = self.op("Sub", "features", self._tensor(node, "mean"))
                value = self.op("Mul", value, self._tensor(node, "scale"))
            else:
                value = self._node(node, [results[name] for name in node.inputs])
            results[node.name] = value if node.output is None else self.quant.activation(value, node.output)
        self.nodes.append(helper.make_node("Identity", [results[model.nodes[-1].name]], ["logits"]))
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(model.class_names)])
        graph = helper.make_graph(self.nodes, "classifier", inputs, [logits], list(self.tensors.values()))
        opsets = [helper.make_opsetid("", _OPSET), *([helper.make_opsetid(_QONNX, 1)] if self.quant.custom else [])]
        proto = helper.make_model(graph, opset_imports=opsets, producer_name="gr-softmod", ir_version=8)
        metadata = {
            "name": model.name,
            "hash": model.hash,
            "class_names": json.dumps(model.class_names),
            "feature_names": json.dumps(model.feature_names),
            "temperature": str(model.temperature),
        }
        helper.set_model_props(proto, metadata)
        onnx.checker.check_model(proto)
        return proto

    # ---- small things

    def constant(self, array: NDArray[Any] | np.generic, name: str = "") -> str:
        name = name or f"c{len(self.tensors)}"
        self.tensors[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self.count += 1
        output = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], f"{kind}_{self.count}", **attributes))
        return output

    def _tensor(self, node: ModelNode, key: str, rank: int = 1) -> str:
        """A tensor of the model's, along the channels of a result of ``rank`` dimensions behind the batch."""
        array = self.model.tensors[f"{node.name}.{key}"]
        return self.constant(array.reshape((-1, 1)) if rank == 2 else array, f"{node.name}.{key}")

    # ---- operations

    def _node(self, node: ModelNode, given: list[str]) -> str:
        fused = self.quant.fused(node, given[0])
        if fused is not None:
            return fused
        match node.op:
            case "max_pool":
                return self.op("MaxPool", given[0], **_window(node))
            case "global_max_pool":
                return self.op("Flatten", self.op("GlobalMaxPool", given[0]), axis=1)
            case "add" | "concat":
                scales = self.model.tensors[f"{node.name}.scale"]
                flat = given if node.op == "add" else [self.op("Flatten", x, axis=1) for x in given]
                terms = [self.op("Mul", x, self.constant(s)) for x, s in zip(flat, scales, strict=True)]
                return self.op("Add", *terms) if node.op == "add" else self.op("Concat", *terms, axis=1)
            case "conv":
                sums = self.op(
                    "Conv", given[0], self._weight(node), **_window(node),
                    pads=list(node.padding), group=node.groups,
                )  # fmt: skip
            case "dense":
                has_time = len(self.shapes[node.inputs[0]]) > 1
                rows = self.op("Flatten", given[0], axis=1) if has_time else given[0]
                sums = self.op("MatMul", rows, self._weight(node))
            case "avg_pool":
                sums = self.quant.window_sums(node, given[0])
            case _:
                sums = self.op("ReduceSum", given[0], self.constant(np.array([2], np.int64)), keepdims=0)
        rank = len(self.shapes[node.name]) if node.op == "conv" else 1
        scaled = self.op("Mul", sums, self._tensor(node, "scale", rank))
        return self.op("Add", scaled, self._tensor(node, "offset", rank))

    def _weight(self, node: ModelNode) -> str:
        weight = self.model.tensors[f"{node.name}.weight"]
        return self.quant.weight(weight if node.op == "conv" else np.ascontiguousarray(weight.T), node)

    def _normalised(self) -> str:
        """``iq`` scaled to unit power as the integer reference does it."""
        iq = "iq"
        if self.model.remove_mean:
            mean = self.op("ReduceMean", self.op("Cast", iq, to=TensorProto.DOUBLE), axes=[2], keepdims=1)
            iq = self.op("Sub", iq, self.op("Cast", mean, to=TensorProto.FLOAT))
        wide = self.op("Cast", iq, to=TensorProto.DOUBLE)
        axes = self.constant(np.array([1], np.int64))
        power = self.op("ReduceMean", self.op("ReduceSum", self.op("Mul", wide, wide), axes), axes=[2], keepdims=1)
        largest = self.constant(np.float64(np.finfo(np.float64).max))
        loud = self.op("GreaterOrEqual", power, self.constant(np.float64(_SILENCE)))
        heard = self.op("And", loud, self.op("LessOrEqual", power, largest))
        one = self.constant(np.float64(1))
        root = self.op("Sqrt", self.op("Where", heard, power, one))
        gain = self.op("Cast", self.op("Div", one, root), to=TensorProto.FLOAT)
        return self.op("Where", heard, self.op("Mul", iq, gain), self.constant(np.float32(0)))


class _Dialect:
    """How integers are written down."""

    custom = False

    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        self.one = writer.constant(np.float32(1), "one")

    def activation(self, value: str, output: Range) -> str:
        """``value`` rounded to the integers of a range."""
        raise NotImplementedError

    def weight(self, weight: NDArray[np.int8], node: ModelNode) -> str:
        """Weights as float32."""
        raise NotImplementedError

    def window_sums(self, node: ModelNode, value: str) -> str:
        """Sums of an ``avg_pool``: here the averages times their length, equal to rounding."""
        mean = self.writer.op("AveragePool", value, **_window(node))
        return self.writer.op("Mul", mean, self.writer.constant(np.float32(node.kernel)))

    def fused(self, node: ModelNode, value: str) -> str | None:
        """A node with weights whole, before rounding; None where its sums are scaled by nodes of their own."""
        return None


class _Qdq(_Dialect):
    """Standard ONNX: QuantizeLinear and DequantizeLinear."""

    #: Ranges that QuantizeLinear keeps by itself.
    saturating: tuple[Range, ...] = ((0, 255),)

    def __init__(self, writer: _Writer) -> None:
        super().__init__(writer)
        self.zeros = {True: writer.constant(np.int8(0), "zero.s8"), False: writer.constant(np.uint8(0), "zero.u8")}

    def activation(self, value: str, output: Range) -> str:
        writer, zero = self.writer, self.zeros[output[0] < 0]
        if output not in self.saturating:
            low, high = (writer.constant(np.float32(limit)) for limit in output)
            value = writer.op("Clip", value, low, high)
        return writer.op("DequantizeLinear", writer.op("QuantizeLinear", value, self.one, zero), self.one, zero)

    def weight(self, weight: NDArray[np.int8], node: ModelNode) -> str:
        stored = self.writer.constant(weight, f"{node.name}.weight")
        return self.writer.op("DequantizeLinear", stored, self.one, self.zeros[True])

    def window_sums(self, node: ModelNode, value: str) -> str:
        channels = self.writer.shapes[node.name][0]
        ones = self.writer.constant(np.ones((channels, 1, node.kernel), np.int8), f"{node.name}.ones")
        weight = self.writer.op("DequantizeLinear", ones, self.one, self.zeros[True])
        return self.writer.op(
            "Conv", value, weight, **_window(node), group=channels
        )  # fmt: skip


class _FusedQdq(_Qdq):
    """Standard ONNX with scales inside the quantisers."""

    #: Ranges that QuantizeLinear keeps by itself (it lets -128 pass where -127 is the least).
    saturating = ((0, 255), (-127, 127))

    def window_sums(self, node: ModelNode, value: str) -> str:
        return _Dialect.window_sums(self, node, value)

    def fused(self, node: ModelNode, value: str) -> str | None:
        if node.op not in ("conv", "dense"):
            return None
        writer, tensors = self.writer, self.writer.model.tensors
        weight, scale, offset = (tensors[f"{node.name}.{key}"] for key in ("weight", "scale", "offset"))
        sign = np.where(scale < 0, -1, 1).astype(np.int8)
        dead = ~weight.reshape(len(weight), -1).any(1)  # their scale means nothing, and may be tiny
        size = np.where(dead | (scale == 0), 1, np.abs(scale)).astype(np.float32)
        limit = float(2**31 - 128)
        bias = np.clip(np.rint(offset.astype(np.float64) / size), -limit, limit).astype(np.int32)
        scales = writer.constant(size, f"{node.name}.scale")
        stored = writer.constant(weight * sign.reshape((-1,) + (1,) * (weight.ndim - 1)), f"{node.name}.weight")
        inputs = [
            writer.op("DequantizeLinear", stored, scales, axis=0),
            writer.op("DequantizeLinear", writer.constant(bias, f"{node.name}.bias"), scales, axis=0),
        ]
        if node.op == "conv":
            return writer.op("Conv", value, *inputs, **_window(node), pads=list(node.padding), group=node.groups)
        has_time = len(writer.shapes[node.inputs[0]]) > 1
        return writer.op("Gemm", writer.op("Flatten", value, axis=1) if has_time else value, *inputs, transB=1)


class _Quant(_Dialect):
    """QONNX: Quant nodes. Source: github.com/fastmachinelearning/qonnx, "Quant" of its custom operations."""

    custom = True

    def __init__(self, writer: _Writer) -> None:
        super().__init__(writer)
        self.zero = writer.constant(np.float32(0), "zero")

    def _quant(self, value: str, bits: int, signed: bool) -> str:
        width = self.writer.constant(np.float32(bits))
        return self.writer.op(
            "Quant", value, self.one, self.zero, width, domain=_QONNX, signed=int(signed), narrow=int(signed),
            rounding_mode="ROUND",
        )  # fmt: skip

    def activation(self, value: str, output: Range) -> str:
        return self._quant(value, (output[1] - output[0]).bit_length(), output[0] < 0)

    def weight(self, weight: NDArray[np.int8], node: ModelNode) -> str:
        stored = self.writer.constant(weight.astype(np.float32), f"{node.name}.weight")
        return self._quant(stored, node.bits, True)
