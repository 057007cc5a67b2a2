# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.multichannel_classifier``: a band split into channels, and the modulation of each."""

from __future__ import annotations

import math
import os
from typing import Any

from gnuradio import gr
from gnuradio.fft import window
from gnuradio.filter import firdes, pfb

from gr_softmod.bindings.softmod_python import channelizer_cc, modulation_classifier_c


class multichannel_classifier(gr.hier_block2):
    """Splits a band into channels of equal width and says of each which modulation it has.

    In it are ``channelizer_cc`` (the in-tree polyphase channelizer for numbers of channels that are no powers of two)
    and one ``modulation_classifier_c`` for all channels, whose frames are classified together. Channel n lies
    n / channels of the sample rate above the middle of the band, those of the upper half of numbers below it. In the
    messages on ``classification`` ``sample_index`` counts samples of the channel, and ``rx_freq`` is its middle in
    hertz, relative to that of the band until a tag ``rx_freq`` tells where this lies.

    Args:
        model: path of a ModelFile, or its bytes.
        channels: into how many the band is split, 2 to 1024.
        sample_rate: of the band, in hertz.
        attenuation_db: of what lies in other channels, in the channel filter; 0.4 of a channel on either side of its
            middle is passed, and what lies beyond 0.6 is not.
        hop, smoothing, report_period, min_confidence, squelch_db, remove_dc, live_backlog, threads: as those of
            ``modulation_classifier_c``.
    Attributes:
        classifier: the ``modulation_classifier_c``, for its setters and counts.
    Raises:
        ValueError: the model is refused, or a parameter is out of its range.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        channels: int = 16,
        sample_rate: float = 1e6,
        attenuation_db: float = 60.0,
        hop: int = 0,
        smoothing: int = 1,
        report_period: int = 1,
        min_confidence: float = 0.0,
        squelch_db: float = -150.0,
        remove_dc: bool = False,
        live_backlog: int = 0,
        threads: int = 1,
    ) -> None:
        if not 2 <= channels <= 1024:
            raise ValueError(f"channels is {channels}; it must lie between 2 and 1024")
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ValueError(f"sample_rate is {sample_rate:g}; it must be positive and finite")
        if not 10 <= attenuation_db <= 120:
            raise ValueError(f"attenuation_db is {attenuation_db:g}; it must lie between 10 and 120")
        gr.hier_block2.__init__(
            self,
            "softmod.multichannel_classifier",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature(0, 0, 0),
        )
        for port in ("classification", "status"):
            self.message_port_register_hier_out(port)
        self.message_port_register_hier_in("model")
        self.centres = [
            sample_rate / channels * (n if n < (channels + 1) // 2 else n - channels) for n in range(channels)
        ]
        split: Any = channelizer_cc if channels & (channels - 1) == 0 else pfb.channelizer_ccf
        self.split = split(channels, self.taps(channels, attenuation_db))
        self.classifier = modulation_classifier_c(
            model,
            channels,
            hop,
            smoothing,
            report_period,
            min_confidence,
            squelch_db,
            remove_dc,
            live_backlog,
            sample_rate / channels,
            self.centres,
            threads,
        )
        self.connect(self, self.split)
        for channel in range(channels):
            self.connect((self.split, channel), (self.classifier, channel))
        for port in ("classification", "status"):
            self.msg_connect(self.classifier, port, self, port)
        self.msg_connect(self, "model", self.classifier, "model")

    @staticmethod
    def taps(channels: int, attenuation_db: float = 60.0) -> list[float]:
        """Of the channel filter, at the rate of the band."""
        return list(firdes.low_pass_2(1.0, channels, 0.5, 0.2, attenuation_db, window.WIN_BLACKMAN_hARRIS))
