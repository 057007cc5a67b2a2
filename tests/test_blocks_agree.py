# SPDX-License-Identifier: GPL-3.0-or-later
"""A block's GRC description, binding, header, documentation and files tell the same story."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from classifier_models import small_model
from demapper_models import qpsk_model

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTIONS = {
    path.name.removeprefix("softmod_").removesuffix(".block.yml"): path
    for path in sorted((ROOT / "grc").glob("softmod_*.block.yml"))
}
HEADERS = sorted(path.stem for path in (ROOT / "include" / "gnuradio" / "softmod").glob("*.h") if path.stem != "api")
MESSAGE_PORTS = {"noise_var", "constellation", "status", "model", "classification", "pdu"}
#: Blocks whose first parameter is the file of a classifier; of a demapper.
CLASSIFIER_MODELS = {"modulation_classifier_c", "multichannel_classifier"}
DEMAPPER_MODELS = {"demodulator_cf", "modulator_bc", "neural_demapper_cf"}
ITEM_SIZE = {"complex": 8, "float": 4, "byte": 1, "short": 2, "int": 4}


# -- files (these need no GNU Radio) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADERS)
def test_a_block_has_its_six_files(name: str) -> None:
    """The header and these five, under one name; its algorithm lies in lib/kernels."""
    files = (
        f"lib/{name}_impl.h",
        f"lib/{name}_impl.cc",
        f"python/gr_softmod/bindings/{name}_python.cc",
        f"grc/softmod_{name}.block.yml",
        f"tests/qa_{name}.py",
    )
    missing = [file for file in files if not (ROOT / file).is_file()]
    assert not missing, f"missing: {missing}"


def test_a_binding_file_binds_one_block() -> None:
    for path in sorted((ROOT / "python/gr_softmod/bindings").glob("*_python.cc")):
        name = path.stem.removesuffix("_python")
        included = re.findall(r"<gnuradio/softmod/(\w+)\.h>", path.read_text())
        assert included == [name], f"{path.name} binds {included}"


@pytest.mark.parametrize("name", [name for name in DESCRIPTIONS if name not in HEADERS])
def test_a_block_in_python_has_its_source(name: str) -> None:
    sources = [path.read_text() for path in ROOT.glob("python/gr_softmod/blocks/*.py")]
    assert any(re.search(rf"^(class|def) {name}\b", text, re.M) for text in sources), f"{name} has no source"


@pytest.mark.parametrize("name", [path.stem.removesuffix("_impl") for path in sorted(ROOT.glob("lib/*_impl.cc"))])
def test_a_shell_is_small(name: str) -> None:
    lines = len((ROOT / f"lib/{name}_impl.cc").read_text().splitlines())
    assert lines < 200, f"lib/{name}_impl.cc has {lines} lines; the algorithm belongs in lib/kernels"


def test_the_tree_lists_every_block_once() -> None:
    (category, listed), = yaml.safe_load((ROOT / "grc" / "softmod.tree.yml").read_text()).items()  # fmt: skip
    assert category == "[Softmod]"
    assert sorted(listed) == sorted(f"softmod_{name}" for name in DESCRIPTIONS)
    for path in DESCRIPTIONS.values():
        assert "category" not in yaml.safe_load(path.read_text()), f"{path.name}: the tree alone says the category"


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_documentation_names_every_parameter_and_message_port(name: str) -> None:
    description = yaml.safe_load(DESCRIPTIONS[name].read_text())
    text = " ".join(description["documentation"].split())
    for parameter in description.get("parameters", []):
        label = re.sub(r" \(.*\)", "", parameter["label"])  # without its unit
        assert label in text or parameter["id"] in text, f"{label} is not explained"
    for port in description.get("inputs", []) + description.get("outputs", []):
        if port["domain"] == "message":
            assert re.search(rf"\b{port['id']}\b", text), f"message port {port['id']} is not explained"


# -- what GRC generates (these need GNU Radio) -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def platform() -> Any:
    gr = pytest.importorskip("gnuradio.gr")
    core = pytest.importorskip("gnuradio.grc.core.platform")
    version = (gr.major_version(), gr.api_version(), gr.minor_version())
    made = core.Platform(name="GRC", prefs=gr.prefs(), version=gr.version(), version_parts=version)
    made.build_library([*gr.prefs().get_string("grc", "global_blocks_path", "").split(":"), str(ROOT / "grc")])
    return made


def variants(platform: Any, name: str) -> Iterator[Any]:
    """The block in GRC with its defaults, and with every choice of every enumeration or yes/no parameter."""
    blank = platform.make_flow_graph().new_block(f"softmod_{name}")
    assert blank is not None, f"GRC cannot load softmod_{name}"
    choices = {
        key: list(parameter.options) if parameter.dtype == "enum" else ["True", "False"]
        for key, parameter in blank.params.items()
        if parameter.dtype in ("enum", "bool") and key not in ("showports",)
    }
    for values in itertools.product(*choices.values()):
        graph = platform.make_flow_graph()
        block = graph.new_block(f"softmod_{name}")
        block.params["id"].set_value("made")
        for key, value in zip(choices, values, strict=True):
            block.params[key].set_value(value)
        graph.rewrite()
        yield block


def call_of(code: str) -> ast.Call:
    """The constructor's or setter's call; lines behind it put a widget into its place."""
    first = ast.parse(code.strip()).body[0]
    assert isinstance(first, ast.Expr), code
    expression = first.value
    assert isinstance(expression, ast.Call), code
    return expression


def arguments_of(target: Any) -> dict[str, Any]:
    """Names of the arguments of a block's constructor, and their defaults as expressions (None: it has none)."""
    text = target.__init__.__doc__ or ""
    if text.startswith("__init__(self:"):
        code = text.splitlines()[0] + ": ..."
    else:
        signature = inspect.signature(target)
        bare = signature.replace(
            parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
            return_annotation=signature.empty,
        )
        code = f"__init__{bare}: ..."
    (function,) = ast.parse("def " + code).body
    assert isinstance(function, ast.FunctionDef)
    given = function.args
    positional = given.posonlyargs + given.args
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    pairs = list(zip(positional, defaults, strict=True)) + list(zip(given.kwonlyargs, given.kw_defaults, strict=True))
    return {argument.arg: default for argument, default in pairs if argument.arg != "self"}


def literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_grc_gives_every_argument_by_its_name_and_default(platform: Any, name: str) -> None:
    from gnuradio import softmod

    for block in variants(platform, name):
        call = call_of(block.templates.render("make"))
        function = ast.unparse(call.func)
        assert function.startswith("softmod.") and "import softmod" in block.templates.render("imports")
        arguments = arguments_of(getattr(softmod, function.removeprefix("softmod.")))
        assert len(call.args) <= len(arguments)
        given = dict(zip(arguments, call.args, strict=False)) | {k.arg: k.value for k in call.keywords}
        assert set(given) == set(arguments), f"{function} takes {list(arguments)}; GRC gives {list(given)}"
        chosen = {key for key, parameter in block.params.items() if parameter.dtype in ("enum", "bool")}
        for key, default in arguments.items():
            mine, theirs = literal(given[key]), literal(default)
            if key not in chosen and mine is not None and theirs is not None:
                assert mine == theirs, f"{function}: {key} is {mine} in GRC and {theirs} in Python"


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_ports_are_those_of_the_block(
    platform: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pmt
    from gnuradio import softmod

    monkeypatch.chdir(tmp_path)
    for block in variants(platform, name):
        code = block.templates.render("make")
        if "serve=True" not in code:
            code = re.sub(r"(tcp://127\.0\.0\.1):\d+", r"\1:*", code)  # any free port to listen at
        if name in ("iq_source", "llr_decoder"):
            pytest.skip("its defaults name a file or a variable that a flowgraph must have")
        if name in DEMAPPER_MODELS | CLASSIFIER_MODELS:
            model = qpsk_model() if name in DEMAPPER_MODELS else small_model()
            (tmp_path / "model").write_bytes(model.to_bytes())
            code = code.replace("''", repr(str(tmp_path / "model")), 1)
        known = {"softmod": softmod, "samp_rate": 32e3}  # the variable that every new flowgraph has
        made = eval(ast.unparse(call_of(code)), known)
        for ports, signature in (
            (block.sinks, made.input_signature()),
            (block.sources, made.output_signature()),
        ):
            streams = [port for port in ports if port.domain != "message"]
            shown = [port for port in streams if not port.hidden]
            # An optional port is hidden in GRC; it may be one that the block, as it was made, does not have.
            assert signature.min_streams() <= len(shown) <= signature.max_streams() <= len(streams)
            for index, port in enumerate(shown):
                assert ITEM_SIZE[port.dtype] * port.vlen == signature.sizeof_stream_item(index), port.name
        for ports, registered, is_hier in (
            (block.sinks, made.message_ports_in(), made.message_port_is_hier_in),
            (block.sources, made.message_ports_out(), made.message_port_is_hier_out),
        ):
            expected = {port.key for port in ports if port.domain == "message"}
            # A hierarchical block lists none of its ports, but answers for each.
            hierarchical = {key for key in expected | MESSAGE_PORTS if is_hier(pmt.intern(key))}
            assert expected == set(map(str, pmt.to_python(registered))) - {"system"} | hierarchical


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_callbacks_are_the_setters(platform: Any, name: str) -> None:
    """Each callback is a method of the block; each setter has a callback; the documentation marks both with (R)."""
    from gnuradio import gr, softmod

    description = yaml.safe_load(DESCRIPTIONS[name].read_text())
    labels = {p["id"]: re.sub(r" \(.*\)", "", p["label"]) for p in description.get("parameters", [])}
    called: set[str] = set()
    setters: set[str] = set()
    for block in variants(platform, name):
        function = ast.unparse(call_of(block.templates.render("make")).func)
        cls = getattr(softmod, function.removeprefix("softmod."))
        own = {method for method in dir(cls) if method.startswith("set_") and hasattr(cls, method.removeprefix("set_"))}
        every = (softmod.finite_cc, gr.sync_interpolator, gr.sync_decimator)
        own -= {method for method in own if any(hasattr(base, method) for base in every)}  # those of every block
        setters |= own
        for callback in block.templates.render("callbacks") if block.templates.get("callbacks") else []:
            call = call_of(callback)
            method = ast.unparse(call.func)
            assert hasattr(cls, method), f"{function} has no {method}"
            called |= {method} if method.startswith("set_") else set()
    missing = setters - called
    assert not missing, f"{name}: no callback for {sorted(missing)}"
    text = description["documentation"]
    marked = {key for key, label in labels.items() if re.search(rf"^{re.escape(label)}( \(.*\))? \(R\):", text, re.M)}
    assert {method.removeprefix("set_") for method in called} <= marked, f"{name}: not all callbacks are marked (R)"
    assert {f"set_{key}" for key in marked} <= called, f"{name}: (R) without a callback"


@pytest.mark.parametrize("name", HEADERS)
def test_a_bound_block_explains_itself(name: str) -> None:
    pytest.importorskip("gnuradio.gr")
    from gr_softmod.bindings import softmod_python

    for cls in (getattr(softmod_python, found) for found in dir(softmod_python) if found.startswith(name)):
        assert len(cls.__doc__.split()) > 5, f"{cls.__name__} has no docstring"
