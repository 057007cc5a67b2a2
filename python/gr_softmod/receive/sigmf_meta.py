# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF metadata of LLRs and symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gr_softmod import __version__
from gr_softmod.conventions import CONVENTIONS_VERSION

#: The names of the project's own fields in SigMF metadata begin with this.
NAMESPACE = "softmod"


def write_metadata(
    path: Path,
    datatype: str,
    item_rate: float,
    description: str,
    fields: dict[str, Any],
    capture: dict[str, Any],
    erasures: list[tuple[int, int]],
    sha512: str,
) -> None:
    """Write ``.sigmf-meta`` for items that come at ``item_rate`` hertz.

    Args:
        fields: go into the global object, under the project's namespace.
        capture: ``core:`` fields of the first item.
        erasures: first item and number of items of each erased stretch.
    """
    from sigmf import SigMFFile

    meta = SigMFFile(
        global_info={
            "core:datatype": datatype,
            "core:sample_rate": item_rate,
            "core:description": description,
            "core:recorder": f"gr-softmod {__version__}",
            "core:sha512": sha512,
            "core:extensions": [{"name": NAMESPACE, "version": f"{CONVENTIONS_VERSION}.0.0", "optional": True}],
            **{f"{NAMESPACE}:{key}": value for key, value in fields.items()},
        }
    )
    meta.add_capture(0, capture)
    for first, count in erasures:
        comment = "the received samples were NaN or infinite here: symbols and LLRs are 0"
        meta.add_annotation(first, count, {"core:label": "erasure", "core:comment": comment})
    meta.validate()
    with path.open("w") as file:
        meta.dump(file)
        file.write("\n")
