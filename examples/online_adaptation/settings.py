# SPDX-License-Identifier: GPL-3.0-or-later
"""What all programs of the example are told, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Drift:
    """See :class:`channel.DriftingChannel`; times in samples."""

    begins: int
    ends: int
    tone_at: int
    beta: tuple[float, float] = (-0.03, 0.2)
    phase_degrees: tuple[float, float] = (0.3, 1.0)
    phase_samples: float = 4000.0
    tone_db: float = -17.0
    tone_degrees: float = 20.0

    def at(self, begins: int, ends: int, tone_at: int) -> Drift:
        """The same at another time."""
        return replace(self, begins=begins, ends=ends, tone_at=tone_at)


@dataclass(frozen=True)
class Settings:
    """Of a run. Seconds are those of the signal, counted by samples."""

    out: str
    rate: float = 120e3
    seconds: float = 480.0
    esn0_db: float = 16.0
    drift_seconds: tuple[float, float] = (100.0, 240.0)
    tone_second: float = 200.0
    records: int = 110
    classifier_records: int = 250
    poll_seconds: float = 2.0
    steps: int = 300
    start_steps: int = 800
    classifier: bool = True
    tap: str = "tcp://127.0.0.1:5560"
    iq_tap: str = "tcp://127.0.0.1:5570"
    serve: str = "tcp://127.0.0.1:5562"
    serve_classifier: str = "tcp://127.0.0.1:5572"
    keys: str = ""
    seed: int = 1

    @property
    def noise_var(self) -> float:
        return float(10 ** (-self.esn0_db / 10))

    @property
    def ready(self) -> Path:
        """A file that is there when the trainer waits for records."""
        return Path(self.out) / "trainer.ready"

    def drift(self) -> Drift:
        begins, ends = (round(second * self.rate) for second in self.drift_seconds)
        return Drift(begins, ends, round(self.tone_second * self.rate))

    def radio_keys(self) -> dict[str, str]:
        """Arguments of the taps: who the radio is, and who may listen."""
        return {"key": f"{self.keys}/radio.secret", "allowed": f"{self.keys}/trainer.public"} if self.keys else {}

    def updater_keys(self) -> dict[str, str]:
        """Arguments of the updaters: who the radio is, and whose models it takes."""
        return {"key": f"{self.keys}/radio.secret", "peers": f"{self.keys}/trainer.public"} if self.keys else {}

    def write(self) -> Path:
        path = Path(self.out) / "settings.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Settings:
        said = json.loads(Path(path).read_text())
        return cls(**{**said, "drift_seconds": tuple(said["drift_seconds"])})
