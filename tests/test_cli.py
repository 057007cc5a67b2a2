# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line itself: help, version, usage errors, and what is not imported for them."""

import subprocess
import sys

import pytest

from gr_softmod import __version__, cli


@pytest.fixture
def softmod(monkeypatch, capsys):
    """Runs the command; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softmod", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code or 0, *capsys.readouterr())

    return run


def test_version(softmod):
    assert softmod("--version") == (0, f"softmod {__version__}\n", "")


def test_python_m():
    done = subprocess.run([sys.executable, "-m", "gr_softmod", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"softmod {__version__}\n")


def test_help_names_the_verbs(softmod):
    code, out, _ = softmod("--help")
    assert code == 0 and "receive" in out and "soft bits" in out


def test_help_of_receive_names_every_option(softmod):
    code, out, _ = softmod("receive", "--help")
    names = """--constellation --symbol-rate --center --differential --rolloff --decode --sample-rate --format
    --truncated --reference --frequency --gain --duration --timeout --out --overwrite --quiet
    --classify-only --model --average --json rtl_tcp=
    soapy= osmosdr= zmq="""
    assert code == 0 and [name for name in names.split() if name not in out] == []


USAGE = {
    "no such verb": (["recieve"], "No such command 'recieve'"),
    "no such option": (["receive", "x", "--loud"], "No such option: --loud"),
    "no constellation": (["receive", "x", "-r", "1"], "Missing option '--constellation'"),
    "no symbol rate": (["receive", "x", "-c", "bpsk"], "Missing option '--symbol-rate'"),
    "not a number": (["receive", "x", "-c", "bpsk", "-r", "fast"], "Invalid value for '--symbol-rate'"),
    "two sources": (["receive", "x", "y", "-c", "bpsk", "-r", "1"], "unexpected extra argument"),
}


@pytest.mark.parametrize("usage", USAGE.values(), ids=USAGE.keys())
def test_a_usage_error_is_one_line(softmod, usage):
    arguments, words = usage
    code, out, err = softmod(*arguments)
    assert code == 2 and out == "" and err.startswith("softmod: ") and err.count("\n") == 1 and words in err


def test_an_error_has_a_traceback_when_asked(softmod):
    code, _, err = softmod("receive", "x", "-c", "nonsense", "-r", "1", "--debug")
    assert code == 2 and "Traceback" in err and err.splitlines()[-1].startswith("softmod: there is no constellation")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from gr_softmod import cli\n"
        "sys.argv = ['softmod', 'receive', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('numpy', 'torch', 'gnuradio', 'matplotlib', 'sigmf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
