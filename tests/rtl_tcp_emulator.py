# SPDX-License-Identifier: GPL-3.0-or-later
"""An rtl_tcp server that plays a file: what osmocom's rtl_tcp program is to a dongle, this is to a recording.

    python rtl_tcp_emulator.py SAMPLES.cu8 [--port 0] [--ending close|reset|none|repeat] [--silent]

``--ending`` says what follows the last sample: the connection is closed or reset, nothing, or the file once more for as
long as the client listens. Prints its port as the first line. One client; when the connection has ended it prints, as
JSON, what it was told.

Protocol (rtl_tcp.c of osmocom's rtl-sdr): the server sends 12 bytes, "RTL0", tuner type and number of gains (big
endian), then unsigned 8 bit I and Q; the client sends commands of 5 bytes, a code and a big endian value.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import socket
import struct
import termios
import threading
import time
from pathlib import Path

TUNER_R820T, GAINS = 5, 29
COMMANDS = {1: "frequency", 2: "sample_rate", 3: "gain_mode", 4: "gain", 5: "ppm", 8: "agc", 13: "gain_index"}


def read_commands(connection: socket.socket, commands: dict[str, int]) -> None:
    with connection.makefile("rb") as stream:
        while len(message := stream.read(5)) == 5:
            code, value = struct.unpack(">BI", message)
            commands[COMMANDS.get(code, f"command {code}")] = value


def delivered(connection: socket.socket) -> None:
    """Waits until all that was sent lies in the client's buffer: a reset takes back what does not."""
    left = 1
    while left:
        (left,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
        time.sleep(0.001)


def serve(samples: Path, port: int, ending: str, silent: bool) -> dict[str, int]:
    commands: dict[str, int] = {}
    with socket.create_server(("127.0.0.1", port)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
    with connection:
        reader = threading.Thread(target=read_commands, args=(connection, commands), daemon=True)
        reader.start()
        connection.sendall(b"RTL0" + struct.pack(">II", TUNER_R820T, GAINS))
        try:
            if not silent:
                with samples.open("rb") as file:
                    connection.sendfile(file)
                    while ending == "repeat":
                        connection.sendfile(file)
                if ending == "close":
                    connection.shutdown(socket.SHUT_WR)
                elif ending == "reset":
                    delivered(connection)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            reader.join(60)  # until the client closes
    return commands


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ending", choices=("close", "reset", "none", "repeat"), default="close")
    parser.add_argument("--silent", action="store_true", help="send the header and nothing more")
    print(json.dumps(serve(**vars(parser.parse_args()))), flush=True)
