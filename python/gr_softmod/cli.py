# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``softmod``. Every verb is thin and imports what it needs only when it runs."""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_Flag = partial(typer.Option, metavar="")
_Signal = partial(typer.Option, rich_help_panel="Signal", show_default=False)
_SignalFlag = partial(_Flag, rich_help_panel="Signal")
_Source = partial(typer.Option, rich_help_panel="Source", show_default=False)
_SourceFlag = partial(_Flag, rich_help_panel="Source")
_Class = partial(typer.Option, rich_help_panel="Classification", show_default=False)
_ClassFlag = partial(_Flag, rich_help_panel="Classification")
_Result = partial(typer.Option, rich_help_panel="Results")
_ResultFlag = partial(_Flag, rich_help_panel="Results")


def _print_version(asked: bool) -> None:
    if asked:
        from gr_softmod import __version__

        typer.echo(f"softmod {__version__}")
        raise typer.Exit


@app.callback()
def softmod(
    context: typer.Context,
    version: Annotated[bool, _Flag("--version", callback=_print_version, is_eager=True, help="Print it.")] = False,
    debug: Annotated[bool, _Flag("--debug", help="Show tracebacks, and what drivers and GNU Radio print.")] = False,
) -> None:
    """IQ streams become soft bits."""
    context.obj = {"debug": debug}


_SOURCE = (
    """A file (SigMF, WAV, raw), or a device: rtl_tcp=HOST:PORT, soapy=driver=..., osmosdr=..., zmq=tcp://HOST:PORT."""
)


@app.command(no_args_is_help=True)
def receive(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=_SOURCE, show_default=False)],
    constellation: Annotated[
        str | None, _Signal("--constellation", "-c", metavar="NAME", help="bpsk, qpsk, 8psk, 16qam, ...")
    ] = None,
    symbol_rate: Annotated[float | None, _Signal("--symbol-rate", "-r", metavar="HZ", help="Symbols a second.")] = None,
    center: Annotated[
        float | None, _Signal(metavar="HZ", help="Its middle within the source's band; 0 without.")
    ] = None,
    differential: Annotated[bool, _SignalFlag("--differential", help="Bits were coded as turns of the phase.")] = False,
    rolloff: Annotated[float, _Signal(metavar="R", help="Of the root raised cosine pulse; 0.35 without.")] = 0.35,
    decode: Annotated[str | None, _Signal(metavar="KIND", help="ax25: AX.25 frames (NRZI, G3RUH scrambling).")] = None,
    reference: Annotated[
        str | None, _Signal(metavar="BITS", help="Count errors: prbs9, prbs15, .. or a file of bits.")
    ] = None,
    sample_rate: Annotated[
        float | None, _Source("--sample-rate", "-s", metavar="HZ", help="A must for devices and raw files.")
    ] = None,
    format: Annotated[str | None, _Source(metavar="TYPE", help="Read raw samples: cf32, ci16, cu8, ...")] = None,
    truncated: Annotated[bool, _SourceFlag("--truncated", help="Accept a file that ends before it should.")] = False,
    frequency: Annotated[float | None, _Source(metavar="HZ", help="Tune the device to this.")] = None,
    gain: Annotated[float | None, _Source(metavar="DB", help="Of the device; without it, its own control.")] = None,
    duration: Annotated[float | None, _Source(metavar="S", help="Stop after so many seconds of samples.")] = None,
    timeout: Annotated[
        float, _Source(metavar="S", help="Give up a device silent for so long; 10 without, 0 never.")
    ] = 10,
    out: Annotated[Path, _Result("--out", "-o", metavar="DIR", help="Folder for the results.")] = Path("received"),
    overwrite: Annotated[bool, _ResultFlag("--overwrite", help="Replace results that are there already.")] = False,
    quiet: Annotated[bool, _ResultFlag("--quiet", "-q", help="Print errors only.")] = False,
    classify_only: Annotated[
        bool, _ClassFlag("--classify-only", help="Print which modulation it is, no bits.")
    ] = False,
    model: Annotated[
        Path | None, _Class(metavar="FILE", help="The trained classifier; the shipped one without.")
    ] = None,
    average: Annotated[int, _Class(metavar="N", help="Frames that make a line; 16 without.")] = 16,
    as_json: Annotated[bool, _ClassFlag("--json", help="Lines of JSON, for pipes.")] = False,
) -> None:
    """Turn a recording or a live stream into soft bits.

    Without --constellation and --symbol-rate it finds out what is there, shows it, and demodulates PSK and QAM.

    Leaves llr.sigmf-data and -meta (float, ln P(1)/P(0)), symbols.sigmf-data and -meta (complex), report.json and
    report.png. Ctrl-C ends it with everything received so far.

    Example: softmod receive picsat.wav -c bpsk -r 9600 --center 12000 --decode ax25 -o picsat

    Example: softmod receive recording.sigmf-meta -o result

    Example: softmod receive recording.sigmf-meta --classify-only
    """
    from gr_softmod.blocks.models import shipped_model

    if classify_only:
        from gr_softmod.receive.classify import ClassifySettings
        from gr_softmod.receive.classify import run as classify

        to_classify = ClassifySettings(
            source=source,
            model=model or shipped_model("field"),
            average=average,
            sample_rate=sample_rate,
            datatype=format,
            frequency=frequency,
            gain=gain,
            truncated=truncated,
            duration=duration,
            timeout=timeout,
        )
        classify(to_classify, as_json=as_json, debug=context.obj["debug"])
        return
    common: dict[str, Any] = dict(
        source=source,
        out=out,
        differential=differential,
        sample_rate=sample_rate,
        datatype=format,
        frequency=frequency,
        gain=gain,
        duration=duration,
        timeout=timeout,
        overwrite=overwrite,
        truncated=truncated,
        decode=decode,
        receiver={"excess_bandwidth": rolloff},
    )
    if constellation is None and symbol_rate is None:
        for option, value in (("--center", center), ("--reference", reference)):
            if value is not None:
                raise ValueError(f"{option} needs --constellation and --symbol-rate.")
        from gr_softmod.receive.adaptive import AdaptiveSettings
        from gr_softmod.receive.adaptive_console import run as run_adaptive

        anything = AdaptiveSettings(model=model or shipped_model("field"), **common)
        run_adaptive(anything, as_json=as_json, quiet=quiet, debug=context.obj["debug"])
        return
    for option, needed in (("--constellation", constellation), ("--symbol-rate", symbol_rate)):
        if needed is None:
            raise ValueError(f"Missing option '{option}': give both --constellation and --symbol-rate, or neither.")
    assert constellation is not None and symbol_rate is not None
    from gr_softmod.receive.console import run
    from gr_softmod.receive.settings import Settings

    settings = Settings(
        constellation=constellation, symbol_rate=symbol_rate, center=center or 0.0, reference=reference, **common
    )
    run(settings, quiet=quiet, debug=context.obj["debug"])


@app.command(no_args_is_help=True)
def ber(
    arguments: Annotated[list[str], typer.Argument(metavar="CONFIG|run=RUNDIR [KEY=VALUE]...", show_default=False)],
) -> None:
    """Count bit and block errors over a grid of Eb/N0.

    CONFIG is a YAML file, one's own or a shipped one; KEY=VALUE changes a key of it (link.constellation=16qam). Leaves
    ber.csv, eval.json, ber.png and bler.png in a run directory, by default runs/ and the configuration's name. Ctrl-C
    ends it; the same command goes on. run=RUNDIR counts a trained link beside the plain modem.

    Example: softmod ber configs/ber_64qam.yaml target_bit_errors=1000

    On two processors: torchrun --nproc-per-node 2 -m gr_softmod ber configs/ber_64qam.yaml
    """
    from gr_softmod.ber import run_ber

    run_ber(arguments)


@app.command(no_args_is_help=True)
def train_link(
    arguments: Annotated[list[str], typer.Argument(metavar="CONFIG [KEY=VALUE]...", show_default=False)],
) -> None:
    """Train a constellation and a neural demapper together, through a channel.

    Leaves model.safetensors, MODEL_CARD.md, eval.json, log.jsonl and figures in a run directory, by default runs/ and
    the configuration's name. Ctrl-C ends it; the same command goes on from the last checkpoint.

    Example: softmod train-link configs/link_64.yaml train.steps=2000
    """
    from gr_softmod.modem.train_link import run_train_link

    run_train_link(arguments)


@app.command(no_args_is_help=True)
def export_link(
    run: Annotated[str, typer.Argument(metavar="RUNDIR", show_default=False)],
    int8: Annotated[bool, _Flag("--int8", help="Hidden layers in int8: twice as fast.")] = False,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", show_default=False)] = None,
) -> None:
    """Write the demapper of a trained link, with its points, as a model for the block neural_demapper_cf.

    Example: softmod export-link runs/link_pa -o link_pa.safetensors
    """
    from gr_softmod.modem.export_link import export_link_file

    typer.echo(export_link_file(run, out, "int8" if int8 else "float32"))


@app.command(no_args_is_help=True)
def train(
    arguments: Annotated[list[str], typer.Argument(metavar="CONFIG [KEY=VALUE]...", show_default=False)],
) -> None:
    """Train a modulation classifier.

    Leaves last.pt, best.pt, log.jsonl and training.png in a run directory, by default runs/ and the configuration's
    name. Ctrl-C ends it; the same command goes on from the last checkpoint, to the same result.

    Example: softmod train configs/classifier_radioml2018.yaml train.steps=2000

    On two processors: torchrun --nproc-per-node 2 -m gr_softmod train configs/classifier_radioml2018.yaml
    """
    from gr_softmod.classifier.pipeline import run_train

    run_train(arguments)


@app.command(no_args_is_help=True)
def prune(
    arguments: Annotated[list[str], typer.Argument(metavar="RUN [CONFIG] [KEY=VALUE]...", show_default=False)],
) -> None:
    """Take weights away from a trained classifier, step by step, and let the rest learn again.

    Leaves best.pt, prune.json, pruning.png and one run directory a step in RUN-pruned (or out=DIR).

    Example: softmod prune runs/classifier_radioml2018 prune.fraction=0.15 prune.tolerance=0.02
    """
    from gr_softmod.classifier.prune import run_prune

    run_prune(arguments)


@app.command(no_args_is_help=True)
def quantize(
    arguments: Annotated[list[str], typer.Argument(metavar="RUN [CONFIG] [KEY=VALUE]...", show_default=False)],
) -> None:
    """Turn a trained or pruned classifier into one of integers: 8 bits, 6, then bit by bit under an accuracy floor.

    Leaves best.pt, quantize.json, quantize.png and one run directory a round in RUN-quantized (or out=DIR). Ctrl-C ends
    it; the same command goes on, to the same result.

    Example: softmod quantize runs/classifier_radioml2018-pruned quantize.lower.tolerance=0.02
    """
    from gr_softmod.classifier.quantize import run_quantize

    run_quantize(arguments)


@app.command(no_args_is_help=True)
def cost(
    paths: Annotated[list[str], typer.Argument(metavar="RUN|MODEL...", show_default=False)],
) -> None:
    """Count bit operations and weight bits of classifiers, by the rules of the ITU challenge of 2021.

    Reads run directories and model files; leaves cost.json in the run directories.

    Example: softmod cost runs/classifier_radioml2018 runs/classifier_radioml2018-quantized
    """
    from gr_softmod.classifier.cost_report import run_cost

    run_cost(paths)


@app.command(no_args_is_help=True)
def export(
    arguments: Annotated[list[str], typer.Argument(metavar="RUN [KEY=VALUE]...", show_default=False)],
) -> None:
    """Write a quantised classifier as files that need no torch, and compare them on every test frame.

    Leaves model.safetensors, model.onnx, model.qonnx.onnx, cost.json and export.json in the run directory.

    Example: softmod export runs/classifier_radioml2018-quantized frames=4096
    """
    from gr_softmod.classifier.export_run import run_export

    run_export(arguments)


@app.command("eval", no_args_is_help=True)
def evaluate(
    arguments: Annotated[list[str], typer.Argument(metavar="RUN [KEY=VALUE]...", show_default=False)],
) -> None:
    """Judge a classifier on test frames: accuracy by SNR, confusion, calibration, rejection.

    Leaves eval.json, four figures and MODEL_CARD.md in the run directory.

    Example: softmod eval runs/classifier_radioml2018 frames=20000
    """
    from gr_softmod.classifier.evaluate import run_evaluate

    run_evaluate(arguments)


@app.command(no_args_is_help=True)
def pipeline(
    arguments: Annotated[list[str], typer.Argument(metavar="CONFIG [KEY=VALUE]...", show_default=False)],
) -> None:
    """Make a classifier from one configuration: train, prune, quantize, eval, cost, export.

    Leaves one run directory a stage, numbered. Ctrl-C ends it; the same command goes on.

    Example: softmod pipeline configs/classifier_smoke.yaml
    """
    from gr_softmod.classifier.pipeline import run_pipeline

    run_pipeline(arguments)


_KEY = """This end's NAME.secret, for addresses beyond this machine; softmod keys makes it."""


@app.command(no_args_is_help=True)
def capture(
    endpoint: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of a training_tap: tcp://127.0.0.1:PORT.")],
    out: Annotated[Path, _Result("--out", "-o", metavar="DIR", help="Folder of the captured windows.")] = Path(
        "captures"
    ),
    quota: Annotated[str | None, _Result(metavar="SIZE", help="Most that its data may use: 500M, 10G.")] = None,
    when_full: Annotated[str, _Result(metavar="stop|oldest", help="End, or remove the oldest recordings.")] = "stop",
    segment_seconds: Annotated[float, _Result(metavar="S", help="Seconds of samples in one recording.")] = 60,
    records: Annotated[int | None, _Result(metavar="N", help="Stop after so many windows.")] = None,
    seconds: Annotated[float | None, _Result(metavar="S", help="Stop after so long.")] = None,
    key: Annotated[Path | None, _Source(metavar="FILE", help=_KEY)] = None,
    peer: Annotated[Path | None, _Source(metavar="FILE", help="NAME.public of the tap.")] = None,
    quiet: Annotated[bool, _ResultFlag("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Write labelled windows of a running flowgraph as SigMF, to train on.

    Ctrl-C ends it. Killed in any way, it goes on where it was. docs/capture.md says what lies where.

    Example: softmod capture tcp://127.0.0.1:5560 -o captures --quota 10G
    """
    from gr_softmod.hooks.identity import security_of
    from gr_softmod.hooks.recorder import Settings, parse_size, record

    size = parse_size(quota) if quota else None
    security = security_of(key, peer)
    record(Settings(endpoint, out, security, size, when_full, segment_seconds, records, seconds), quiet)


@app.command(no_args_is_help=True)
def keys(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of this machine or person.")],
    folder: Annotated[Path, typer.Option("--folder", "-o", metavar="DIR", help="Where the files go.")] = Path("keys"),
) -> None:
    """Make an identity: NAME.secret (for its owner alone) and NAME.public (for the others).

    Example: softmod keys receiver
    """
    from gr_softmod.hooks.keys import make_keys

    make_keys(folder, name)
    typer.echo(f"{folder}/{name}.secret stays here; give {folder}/{name}.public to those who talk to {name}")


_TARGET = partial(typer.Option, metavar="KIND", help="classifier or demapper.")


@app.command(no_args_is_help=True)
def push(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of a model_updater: tcp://127.0.0.1:PORT.")],
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="model.safetensors")] = None,
    rollback: Annotated[bool, _Flag("--rollback", help="Bring the model before back instead.")] = False,
    target: Annotated[str, _TARGET()] = "classifier",
    key: Annotated[Path | None, _Source(metavar="FILE", help=_KEY)] = None,
    peer: Annotated[Path | None, _Source(metavar="FILE", help="NAME.public of the receiver.")] = None,
    timeout: Annotated[float, _Source(metavar="S", help="For the answer.")] = 30,
) -> None:
    """Send a model to a running receiver, and say what it answers.

    Example: softmod push tcp://127.0.0.1:5561 runs/classifier/model.safetensors
    """
    from gr_softmod.hooks.verbs import push as run_push

    typer.echo(run_push(address, model, rollback, target, key, peer, timeout))


@app.command(no_args_is_help=True)
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of model files (*.safetensors).")],
    address: Annotated[str, typer.Option("--address", "-a", metavar="ADDRESS", help="To listen at.")] = (
        "tcp://127.0.0.1:5562"
    ),
    target: Annotated[str, _TARGET()] = "classifier",
    key: Annotated[Path | None, _Source(metavar="FILE", help=_KEY)] = None,
    peers: Annotated[Path | None, _Source(metavar="DIR", help="NAME.public of those who may connect.")] = None,
) -> None:
    """Offer the models of a folder to receivers, the newest first; new ones as they appear. Ctrl-C ends it.

    Example: softmod serve runs/classifier
    """
    from gr_softmod.hooks.verbs import serve as run_serve

    run_serve(folder, address, target, key, peers)


def main() -> None:
    """Run the command. An error is one line on stderr and exit code 2; ``--debug``, anywhere, adds the traceback."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    if debug:
        arguments.insert(0, "--debug")
    else:
        os.environ.setdefault("GR_CONF_LOG_LOG_LEVEL", "error")  # read by GNU Radio when it is loaded
    try:
        sys.exit(app(arguments, prog_name="softmod", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        # Usage errors know their own sentence; they are click's or typer's own class, depending on its version.
        if hasattr(error, "format_message"):
            _fail(error.format_message())
        if isinstance(error, (ValueError, OSError, ImportError)):
            _fail(str(error) or type(error).__name__)
        raise


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"softmod: {' '.join(sentence.split())}", err=True)
    sys.exit(2)
