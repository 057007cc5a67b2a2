# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of the verbs: a YAML file, ``key=value`` overrides, and a model that knows every key.

A verb's configuration is a :class:`Config` (pydantic). :func:`load_config` reads it; whatever is wrong with it is a
:class:`ConfigError` of one line that names the key, the value and what is allowed. Needs PyYAML and pydantic alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import pydantic
import yaml

#: Configurations shipped with the package; `softmod ber configs/ber_64qam.yaml` works from any directory.
SHIPPED = Path(__file__).resolve().parent / "configs"


class ConfigError(ValueError):
    """A configuration that cannot be used; its text is one line for the person who wrote it."""


class Config(pydantic.BaseModel):
    """Base of every configuration: unknown keys are errors, defaults are checked, nothing changes once loaded."""

    model_config = pydantic.ConfigDict(extra="forbid", validate_default=True, frozen=True, allow_inf_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, fit for YAML and JSON."""
        return self.model_dump(mode="json")


C = TypeVar("C", bound=Config)


def parse_grid(value: Any) -> Any:
    """A grid of numbers written as ``start:stop:step`` (both ends included), one number or a list of numbers."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, str):
        return value
    try:
        numbers = [float(part) for part in value.split(":")]
    except ValueError:
        raise ValueError(f"{value!r} is not a number, a list of numbers or start:stop:step") from None
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3 or numbers[2] <= 0 or numbers[1] < numbers[0]:
        raise ValueError(f"{value!r} is not start:stop:step with start <= stop and step > 0")
    start, stop, step = numbers
    # Rounded so that 10:18.4:1.2 holds 12.4 and not 12.399999999999999.
    return [round(start + i * step, 9) for i in range(int((stop - start) / step + 1e-6) + 1)]


#: A non-empty list of numbers; accepts one number, a list or ``start:stop:step``.
Grid = Annotated[list[float], pydantic.BeforeValidator(parse_grid), pydantic.Field(min_length=1)]


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's numbers, that refuses a key written twice in one mapping.

    PyYAML reads YAML 1.1, where ``1:30`` is ninety, ``010`` is eight and ``1e-3`` is a string, and of two equal keys
    it silently keeps the last.
    """

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] not in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes strings which only :class:`_Loader` would take for numbers."""


for _kind, _pattern, _first in (
    ("int", r"[-+]?(0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"([-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        "-+.0123456789",
    ),
):
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), list(_first))


def dump_yaml(data: Mapping[str, Any], file: IO[str]) -> None:
    """Write plain values as YAML, keys in their order; :func:`read_yaml` returns the same values."""
    yaml.dump(dict(data), file, _Dumper, sort_keys=False, allow_unicode=True)


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None


def find_config(name: str | Path) -> Path:
    """The file ``name``: as given, and then among the shipped ones (``configs/x.yaml``, ``x.yaml`` and ``x`` alike).

    Raises:
        ConfigError: there is no such file.
    """
    given = Path(name)
    candidates = [given, SHIPPED.parent / given, SHIPPED / given, SHIPPED / f"{given}.yaml"]
    for path in candidates:
        if path.is_file():
            return path
    shipped = sorted(path.name for path in SHIPPED.glob("*.yaml"))
    hint = difflib.get_close_matches(given.name, shipped, 1)
    raise ConfigError(
        f"{name}: no such configuration"
        + (f"; did you mean {hint[0]}?" if hint else f"; shipped: {', '.join(shipped)}")
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file (an empty file is an empty mapping).

    Raises:
        ConfigError: the file cannot be read, is not YAML or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    data = _parse_yaml(text, str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds a {type(data).__name__}, not keys and values")
    return data


def is_override(argument: str) -> bool:
    """Whether a command-line argument is ``key=value`` and not a path."""
    key, equals, _ = argument.partition("=")
    return bool(equals) and all(part.isidentifier() for part in key.split("."))


def parse_override(argument: str) -> tuple[tuple[str, ...], Any]:
    """``train.lr=1e-3`` to ``(("train", "lr"), "1e-3")``; the value is read as YAML.

    Raises:
        ConfigError: the argument is not ``key=value``, or the value is not YAML.
    """
    if not is_override(argument):
        raise ConfigError(f"{argument!r} is not key=value (nested keys with dots: train.lr=1e-3)")
    key, _, value = argument.partition("=")
    return tuple(key.split(".")), _parse_yaml(value, argument)


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``data`` with each ``key=value`` set; the rest is kept and ``data`` itself is not changed."""
    result = dict(data)
    for argument in overrides:
        path, value = parse_override(argument)
        node = result
        for part in path[:-1]:
            inner = node.get(part)
            node[part] = dict(inner) if isinstance(inner, Mapping) else {}
            node = node[part]
        node[path[-1]] = value
    return result


def load_config(
    model: type[C], source: str | Path | Mapping[str, Any] | None = None, overrides: Sequence[str] = ()
) -> C:
    """A checked ``model`` from a YAML file (see :func:`find_config`) or a mapping, with overrides on top.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest known one), a wrong value.
    """
    if source is None or isinstance(source, Mapping):
        where, data = "", dict(source or {})
    else:
        path = find_config(source)
        where, data = f"{path}: ", read_yaml(path)
    data = apply_overrides(data, overrides)
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise ConfigError(where + describe_error(model, error)) from None


def describe_error(model: type[pydantic.BaseModel], error: pydantic.ValidationError) -> str:
    """The first of pydantic's complaints as one sentence: the key, the value, what is allowed."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(_keys(model))
        parent, _, leaf = key.rpartition(".")
        siblings = [k for k in known if k.rpartition(".")[0] == parent]
        # A misspelt neighbour first, then the right key in the wrong place.
        leaves = {k.rpartition(".")[2]: k for k in reversed(siblings)}
        near = [leaves[match] for match in difflib.get_close_matches(leaf, leaves, 1)]
        near = near or [k for k in known if k.rpartition(".")[2] == leaf]
        text = f"{key}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(siblings)}")
    elif first["type"] == "missing":
        text = f"{key}: this key must be given"
    else:
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        prefix = f"{key}: " if key else ""
        text = (
            f"{prefix}{message}"
            if first["type"] == "value_error"
            else f"{prefix}must be {message}, not {first['input']!r}"
        )
    more = len(problems) - 1
    return text + (f" (and {more} more)" if more else "")


def _keys(model: type[pydantic.BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a model and of the models in it, with dots."""
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in inner:
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")
