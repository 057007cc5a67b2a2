# SPDX-License-Identifier: GPL-3.0-or-later
"""From a tap to its consumers: keys, addresses, and consumers that are slow, dead, late or malicious."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from nacl.signing import SigningKey

from gr_softmod.hooks.capture import read_index, read_records
from gr_softmod.hooks.endpoint import Security, check_endpoint
from gr_softmod.hooks.identity import security_of
from gr_softmod.hooks.keys import KeyFileError, SecretKey, load_allowed, load_public, load_secret, make_keys, verify
from gr_softmod.hooks.recorder import Settings, parse_size, record
from gr_softmod.hooks.stream import FORGET_AFTER, Inlet, Outlet
from gr_softmod.hooks.wire import Label, Message, encode

LOCAL = "tcp://127.0.0.1:*"


def window(sequence: int, samples: int = 64) -> Message:
    return Message(
        "window", sequence, sequence * samples, 48e3, None, "2026-01-31T12:00:00Z",
        labels=(Label("modulation", "BPSK", "parameter"),),
        arrays={"iq": np.full(samples, sequence, np.complex64)}, fields={"policy": "every"},
    )  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"


def join(outlet: Outlet, *inlets: Inlet) -> None:
    """Until the outlet serves them all."""

    def joined() -> bool:
        for inlet in inlets:
            assert inlet.receive(0.005) is None
        outlet.listen()
        return outlet.consumers == len(inlets)

    until(joined)


def drain(inlet: Inlet) -> list[int]:
    """Sequence numbers of all that is on its way."""
    found = []
    while (message := inlet.receive(0.3)) is not None:
        found.append(message.sequence)
    return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


# -- keys and addresses ------------------------------------------------------------------------------------------------


def test_keys_are_private_whole_and_never_replaced(tmp_path: Path) -> None:
    key = make_keys(tmp_path / "keys", "tap")
    secret, public = tmp_path / "keys/tap.secret", tmp_path / "keys/tap.public"
    assert secret.stat().st_mode & 0o777 == 0o600 and public.stat().st_mode & 0o777 == 0o644
    assert load_secret(secret) == key and load_public(public) == key.public
    assert key.curve_secret.decode() not in repr(key) + public.read_text() and key.seed.hex() not in public.read_text()
    with pytest.raises(ValueError, match="never replaced"):
        make_keys(tmp_path / "keys", "tap")
    assert load_secret(secret) == key
    for mode in (0o640, 0o604, 0o620):
        secret.chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            load_secret(secret)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x" * 65, "ä", "a b"])
def test_names_of_keys(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        make_keys(tmp_path, name)


@pytest.mark.parametrize(
    "change", [{"curve": "x" * 40}, {"curve": 5}, {"ed25519": "zz" * 32}, {"ed25519": "00"}, {"name": "a/b"},
               {"curve_secret": "0" * 40}, {"ed25519_seed": "00" * 32}, {"ed25519_seed": 1}, {"curve_secret": None}],
)  # fmt: skip
def test_damaged_key_files_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    make_keys(tmp_path, "a")
    path = tmp_path / "a.secret"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(KeyFileError, match="a.secret"):
        load_secret(path)
    for text in ("", "[]", "{", "null"):
        path.write_text(text)
        with pytest.raises(KeyFileError):
            load_secret(path)


def test_allow_lists_and_signatures(tmp_path: Path) -> None:
    one, two = make_keys(tmp_path, "one"), make_keys(tmp_path, "two")
    assert load_allowed(tmp_path) == (one.public, two.public)
    assert load_allowed(tmp_path / "two.public") == (two.public,)
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyFileError, match="nobody"):
        load_allowed(tmp_path / "empty")
    with pytest.raises(ValueError, match="go together"):
        security_of(tmp_path / "one.secret", None)
    assert security_of(None, None) is None
    # RFC 8032, 7.1, test 2: the seed's public key and signature of the byte 0x72.
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert bytes(SigningKey(seed).verify_key).hex() == public
    rfc = SecretKey(replace(one.public, ed25519=public), b"", seed)
    signature = rfc.sign(b"\x72")
    assert signature.startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    assert verify(rfc.public, b"\x72", signature)
    for statement, said in ((b"\x73", signature), (b"\x72", "00" + signature[2:]), (b"\x72", ""), (b"\x72", "zz")):
        assert not verify(rfc.public, statement, said)
    assert not verify(two.public, b"\x72", signature)


@pytest.mark.parametrize("address", [LOCAL, "tcp://127.8.8.8:5", "tcp://[::1]:80", "ipc:///tmp/x", "inproc://x"])
def test_addresses_on_this_machine_need_no_keys(address: str) -> None:
    check_endpoint(address, None)


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:5", "tcp://*:5", "tcp://192.168.1.2:5", "tcp://localhost:5", "tcp://eth0:5",
                "tcp://[::]:5", "tcp://[::ffff:10.0.0.1]:5", "tcp://example.org:5"],
)  # fmt: skip
def test_addresses_that_others_reach_need_keys(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="key"):
        check_endpoint(address, None)
    key = make_keys(tmp_path, "a")
    check_endpoint(address, Security(key, (key.public,)))


@pytest.mark.parametrize("address", ["", "127.0.0.1:5", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:70000", "ipc://",
                                     "udp://127.0.0.1:5", "tcp://127.0.0.1:5,tcp://0.0.0.0:5"])  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="address|key"):
        check_endpoint(address, None)


def test_an_address_in_use_is_an_error_of_one_line(stack: ExitStack) -> None:
    outlet = stack.enter_context(closing(Outlet(LOCAL)))
    with pytest.raises(OSError, match=outlet.address):
        Outlet(outlet.address)


# -- consumers ---------------------------------------------------------------------------------------------------------


def test_an_endpoint_that_is_forgotten_in_a_cycle_frees_its_address() -> None:
    outlet = Outlet("tcp://127.0.0.1:*")
    address = outlet.address
    cycle: list[Any] = [outlet]
    cycle.append(cycle)
    del outlet, cycle
    gc.collect()  # would wait for ever, were the context collected before its socket
    Outlet(address).close()


def test_every_consumer_gets_every_window(stack: ExitStack) -> None:
    outlet = stack.enter_context(closing(Outlet(LOCAL)))
    outlet.send(window(0))
    assert outlet.dropped == {"no_consumer": 1}
    inlets = [stack.enter_context(closing(Inlet(outlet.address))) for _ in range(2)]
    join(outlet, *inlets)
    for k in range(1, 20):
        outlet.send(window(k))
    assert [drain(inlet) for inlet in inlets] == [list(range(1, 20))] * 2
    assert outlet.sent == 38 and outlet.dropped.total() == 1


def test_a_slow_consumer_loses_its_own_windows_and_no_others(stack: ExitStack) -> None:
    outlet = stack.enter_context(closing(Outlet(LOCAL)))
    fast, slow = (stack.enter_context(closing(Inlet(outlet.address))) for _ in range(2))
    join(outlet, fast, slow)
    total, got = 1500, []
    for k in range(total):
        outlet.send(window(k, 8192))
        while (message := fast.receive(5)) is None:
            pass
        got.append(message.sequence)
    assert got == list(range(total))
    dropped = outlet.dropped["slow_consumer"]
    assert dropped > 0 and outlet.dropped.total() == dropped
    late = drain(slow)
    assert late == sorted(late) and len(late) == total - dropped  # a gap shows each


def test_a_dead_consumer_is_forgotten_and_a_late_one_served(stack: ExitStack) -> None:
    now = [0.0]
    outlet = stack.enter_context(closing(Outlet(LOCAL, clock=lambda: now[0])))
    dead = Inlet(outlet.address)
    join(outlet, dead)
    dead.close()
    until(lambda: (outlet.listen(), outlet.send(window(0)), outlet.consumers == 0)[-1])  # gone: the socket says so
    stuck = stack.enter_context(closing(Inlet(outlet.address)))
    join(outlet, stuck)
    now[0] += FORGET_AFTER + 1  # silent, but not gone
    outlet.listen()
    assert outlet.consumers == 0
    late = stack.enter_context(closing(Inlet(outlet.address)))
    join(outlet, late)
    outlet.send(window(7))
    assert drain(late) == [7]


def test_a_consumer_that_goes_with_its_queue_full_is_forgotten(stack: ExitStack) -> None:
    outlet = stack.enter_context(closing(Outlet(LOCAL, clock=lambda: 0.0)))
    dead = Inlet(outlet.address)
    join(outlet, dead)
    until(lambda: (outlet.send(window(0, 8192)), outlet.dropped["slow_consumer"] > 0)[-1])
    dead.close()
    until(lambda: (outlet.listen(), outlet.send(window(0)), outlet.consumers == 0)[-1])


def test_malicious_consumers_cost_nothing(stack: ExitStack) -> None:
    outlet = stack.enter_context(closing(Outlet(LOCAL, most_consumers=3)))
    honest = stack.enter_context(closing(Inlet(outlet.address)))
    join(outlet, honest)
    host, port = outlet.address.removeprefix("tcp://").split(":")
    for data in (
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\xff" + bytes(8) + b"\x7f",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03",
    ):
        raw = socket.create_connection((host, int(port)))
        stack.callback(raw.close)
        raw.sendall(data)  # and no more: a handshake that never ends
    context = zmq.Context()
    stack.callback(context.term)

    def dealer(*messages: list[bytes]) -> None:
        made = context.socket(zmq.DEALER)
        stack.callback(made.close, 0)
        made.connect(outlet.address)
        for parts in messages:
            made.send_multipart(parts)

    hello = [bytes(part) for part in encode(Message("hello", 0, fields={"role": "consumer"}))]
    dealer([b"x"], [b""], [b""] * 50, [b"SMOD1234", b"{}"], [bytes(part) for part in encode(window(0, 4))])
    dealer([bytes(5000)])  # oversized: libzmq cuts it off
    dealer(*[hello] * 500)
    for _ in range(4):
        dealer(hello)
    until(lambda: (outlet.listen(), outlet.dropped["too_many_consumers"] and outlet.dropped["bad_hello"] >= 5)[1])
    assert outlet.consumers <= 3
    for k in range(5):
        outlet.send(window(k))
    assert drain(honest) == list(range(5))


def test_a_consumer_survives_a_malicious_tap(stack: ExitStack) -> None:
    context = zmq.Context()
    stack.callback(context.term)
    tap = context.socket(zmq.ROUTER)
    stack.callback(tap.close, 0)
    tap.bind(LOCAL)
    inlet = stack.enter_context(closing(Inlet(tap.getsockopt_string(zmq.LAST_ENDPOINT))))
    until(lambda: (inlet.receive(0.01), tap.poll(1))[1])
    peer = tap.recv_multipart()[0]
    good = [bytes(part) for part in encode(window(1))]
    for parts in ([b""], [b"a"] * 30, good[:-1], [*good[:-1], good[-1][:-1] + b"!"], good):
        tap.send_multipart([peer, *parts])
    got: list[Message] = []
    until(lambda: (got.extend(filter(None, [inlet.receive(0.05)])), got)[1])
    assert got[0].sequence == 1 and inlet.refused.total() == 4
    assert any("CRC" in reason for reason in inlet.refused)


def test_without_the_right_key_nobody_is_served(tmp_path: Path, stack: ExitStack) -> None:
    tap, friend, foe = (make_keys(tmp_path, name) for name in ("tap", "friend", "foe"))
    outlet = stack.enter_context(closing(Outlet(LOCAL, Security(tap, (friend.public,)))))
    strangers = [
        Inlet(outlet.address),  # no key
        Inlet(outlet.address, Security(foe, (tap.public,))),  # not on the list
        Inlet(outlet.address, Security(friend, (foe.public,))),  # takes another for the tap
        Inlet(outlet.address, Security(replace(foe, public=friend.public), (tap.public,))),  # claims to be a friend
    ]
    for inlet in strangers:
        stack.callback(inlet.close)
    known = stack.enter_context(closing(Inlet(outlet.address, Security(friend, (tap.public,)))))

    def joined() -> int:
        for inlet in [known, *strangers]:
            assert inlet.receive(0.01) is None
        outlet.listen()
        return outlet.consumers

    until(joined)
    for k in range(5):
        assert joined() == 1
        outlet.send(window(k))
        assert known.receive(5)
    assert [drain(inlet) for inlet in strangers] == [[]] * 4


# -- softmod capture ---------------------------------------------------------------------------------------------------


def test_the_recorder_writes_what_the_tap_sends(tmp_path: Path, stack: ExitStack, capsys: Any) -> None:
    outlet, done = Outlet(LOCAL), threading.Event()

    def tap() -> None:
        sequence = 0
        with closing(outlet):
            while not done.is_set():
                outlet.listen()
                if outlet.consumers and sequence < 500:
                    outlet.send(window(sequence))
                    sequence += 1 if sequence % 10 else 3  # every tenth is followed by a gap of two
                else:
                    done.wait(0.002)

    thread = threading.Thread(target=tap)
    thread.start()
    try:
        progress = record(Settings(outlet.address, tmp_path / "c", records=50))
    finally:
        done.set()
        thread.join()
    assert progress.records == 50 and progress.missing >= 8 and progress.ended == "50 windows are there"
    found = [r.message.sequence for r in read_records(tmp_path / "c")]
    assert len(found) == 50 and found[-1] - found[0] == 49 + progress.missing
    assert read_index(tmp_path / "c")["missing"] == progress.missing
    assert "50 windows" in capsys.readouterr().out


def test_the_recorder_ends_by_time_and_by_quota_and_checks(tmp_path: Path) -> None:
    ended = record(Settings("tcp://127.0.0.1:9", tmp_path / "c", seconds=0.0), quiet=True).ended
    assert ended == "0 seconds are over"
    with pytest.raises(ValueError, match="key"):
        record(Settings("tcp://10.0.0.1:9", tmp_path / "c"))
    assert [parse_size(text) for text in ("4096", "10k", "1.5 MB", "2G", "1TB")] == [
        4096, 10_000, 1_500_000, 2 * 10**9, 10**12,
    ]  # fmt: skip
    for text in ("", "G", "-1", "0", "1X", "1e3"):
        with pytest.raises(ValueError, match="size"):
            parse_size(text)
