# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod ber``: error rates over a grid of Eb/N0, into a run directory.

Alone or under ``torchrun``, fresh or taken up again: the same counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gr_softmod.config import ConfigError, is_override, load_config
from gr_softmod.modem import distributed
from gr_softmod.modem.coded import CodeConfig, CodedLink
from gr_softmod.modem.curves import BerConfig, Contender, Curve, plot, write_csv
from gr_softmod.modem.link import LinkConfig, build_link, build_modem, closed_form
from gr_softmod.modem.simulate import NOT_RUN, Point, Stop, simulate
from gr_softmod.run_dir import RunDir, machine


class BerRunConfig(BerConfig):
    """Keys of a configuration of ``softmod ber``: what is sent, beside how it is counted."""

    title: str = "Error rate"
    out: str | None = Field(default=None, description="run directory; default: runs/ and the name of the configuration")
    link: LinkConfig = LinkConfig()
    code: CodeConfig | None = Field(
        default=None, description="a code of gr-fec around the link; blocks are then its own"
    )


#: Keys that say how far to go and not what is simulated: a run may be taken up again with other values.
EXTENT = (
    "title", "out", "ebn0_db", "target_bit_errors", "target_block_errors", "max_batches", "early_stop", "confidence",
    "threads",
)  # fmt: skip
TABLE_WIDTH = 160


def run_ber(arguments: Sequence[str], console: Console | None = None) -> list[Curve]:
    """What ``softmod ber CONFIG [key=value ...]`` and ``softmod ber run=RUNDIR [key=value ...]`` do.

    Returns the curves it wrote to ``ber.csv``, ``eval.json`` and ``ber.png`` of the run directory.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    paths = [argument for argument in arguments if not is_override(argument)]
    trained = [argument.partition("=")[2] for argument in arguments if argument.startswith("run=")]
    overrides = [argument for argument in arguments if is_override(argument) and not argument.startswith("run=")]
    if len(paths) + len(trained) != 1:
        raise ConfigError("give one configuration (configs/ber_64qam.yaml) or one trained run (run=RUNDIR)")
    with distributed.process_group(), _resumable():
        first = distributed.rank() == 0
        run: RunDir | None
        config: BerConfig
        if trained:
            from gr_softmod.modem.trained_link import trained_contenders
            from gr_softmod.modem.trained_report import write_card

            run, config, contenders, title = trained_contenders(trained[0], overrides)
        else:
            config = plain = load_config(BerRunConfig, paths[0], overrides)
            contenders, title = [contender(plain)], plain.title
            target = plain.out or f"runs/{Path(paths[0]).stem}"
            run = RunDir.create(target, plain, may_change=EXTENT) if first else None
        curves = [simulate_contender(config, entry, run if first else None) for entry in contenders]
        if run is not None and first:
            write_results(run, config, title, curves)
            if trained:
                write_card(run)
            # Wide enough for the table: a narrow terminal wraps its lines, a file keeps them.
            console = console or Console(width=max(Console().width, TABLE_WIDTH))
            console.print(*(table(curve) for curve in curves), sep="\n")
    return curves


def contender(config: BerRunConfig) -> Contender:
    """The link of a configuration, with its code where it has one.

    Raises:
        ConfigError: the code needs GNU Radio, which is not there.
    """
    link = config.link
    if config.code is None:
        return Contender(link.constellation, build_link(link), link.to_dict(), closed_form(link))
    try:
        from gr_softmod.blocks.fec_code import FecCode
    except ImportError as error:
        raise ConfigError(f"code: needs GNU Radio's gr-fec, which cannot be imported ({error})") from None
    code = FecCode(config.code)
    _, demodulator = build_modem(link.constellation, link.demapper)
    m = demodulator.bits_per_symbol
    link = link.model_copy(update={"bits_per_block": -(-code.coded_bits // m) * m})
    coded = CodedLink(code, build_link(link, code_rate=code.rate))
    name = f"{link.constellation}, {config.code.kind} {code.information_bits}/{code.coded_bits}"
    return Contender(name, coded, link.to_dict() | {"code": config.code.to_dict()})


def simulate_contender(config: BerConfig, entry: Contender, run: RunDir | None) -> Curve:
    """Simulate one link with a progress bar, from where its checkpoint in ``run`` is; without ``run``, silently."""
    torch.set_num_threads(config.threads)
    device = distributed.local_device(config.device)
    modem = entry.link.link if isinstance(entry.link, CodedLink) else entry.link
    if isinstance(modem, torch.nn.Module):
        modem.to(device)
    stop = Stop(config.target_bit_errors, config.target_block_errors, config.max_batches, config.early_stop)
    with _progress(config, entry.name, shown=run is not None) as progress:
        points = simulate(
            entry.link,
            config.ebn0_db,
            batch_size=config.batch_size,
            stop=stop,
            seed=config.seed,
            device=device,
            progress=progress,
            checkpoint=run / f"counts-{_slug(entry.name)}.json" if run is not None else None,
            identity={"link": entry.identity, "device": device.type},
        )
    return Curve(entry.name, points, entry.theory, config.confidence)


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; the same command goes on from here.")
        raise


def write_results(run: RunDir, config: BerConfig, title: str, curves: Sequence[Curve]) -> None:
    """``ber.csv``, ``eval.json``, ``ber.png`` and, where blocks are more than bits, ``bler.png``."""
    write_csv(run / "ber.csv", curves)
    rows = {curve.name: [{k: v for k, v in row.items() if k != "curve"} for row in curve.rows()] for curve in curves}
    found = {"title": title, "settings": config.to_dict(), "machine": machine(), "curves": rows}
    run.write_json("eval.json", _known(run) | found)
    for rate in ("ber", "bler"):
        plot(run / f"{rate}.png", curves, title=title, rate=rate)


def _known(run: RunDir) -> dict[str, Any]:
    """What ``eval.json`` of a trained link holds already."""
    return dict(run.read_json("eval.json")) if (run / "eval.json").exists() else {}


def table(curve: Curve) -> Table:
    """The curve as people read it."""
    shown = Table(title=curve.name, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = ["Eb/N0 [dB]", "BER", f"{100 * curve.confidence:g} % interval", "theory", "BLER"]
    columns += ["bit errors", "bits", "block errors", "blocks", "run time", "status"]
    for column in columns:
        shown.add_column(column, justify="left" if column == "status" else "right", no_wrap=True)
    for row in curve.rows():
        if row["status"] == NOT_RUN:
            shown.add_row(f"{row['ebn0_db']:g}", *[""] * 9, NOT_RUN)
            continue
        interval = f"{row['ber_low']:.2e} .. {row['ber_high']:.2e}"
        expected = "" if curve.theory is None else f"{row['theory']:.3e}"
        counts = [f"{row[name]:,}" for name in ("bit_errors", "bits", "block_errors", "blocks")]
        rates = [f"{row['ber']:.3e}", interval, expected, f"{row['bler']:.3e}"]
        shown.add_row(f"{row['ebn0_db']:g}", *rates, *counts, f"{row['seconds']:.1f} s", row["status"])
    return shown


@contextmanager
def _progress(config: BerConfig, name: str, shown: bool) -> Iterator[Callable[[Point], None] | None]:
    """A bar over the whole grid, on standard error."""
    if not shown:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=float(len(config.ebn0_db)), detail="")
        order = sorted(config.ebn0_db)

        def update(point: Point) -> None:
            share = [point.batches / config.max_batches]
            if config.target_bit_errors:
                share.append(point.counts.bit_errors / config.target_bit_errors)
            if config.target_block_errors:
                share.append(point.counts.block_errors / config.target_block_errors)
            detail = f"{point.ebn0_db:g} dB: {point.counts.bit_errors:,} errors in {point.counts.bits:,} bits"
            bars.update(task, completed=order.index(point.ebn0_db) + min(1.0, max(share)), detail=detail)

        yield update


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
