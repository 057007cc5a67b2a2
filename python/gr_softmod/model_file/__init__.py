# SPDX-License-Identifier: GPL-3.0-or-later
"""ModelFile: one file that says everything about a trained network. Specified in ``docs/model_file.md``.

Reading one runs no code, and refuses whatever is missing, left over, oversized or inconsistent. Needs numpy alone.
"""

from gr_softmod.model_file.demapper import DemapperFile as DemapperFile
from gr_softmod.model_file.demapper import DemapperLayer as DemapperLayer
from gr_softmod.model_file.demapper import read_demapper as read_demapper
from gr_softmod.model_file.model import ModelFile as ModelFile
from gr_softmod.model_file.model import ModelFileError as ModelFileError
from gr_softmod.model_file.nodes import ModelNode as ModelNode
from gr_softmod.model_file.nodes import Range as Range
from gr_softmod.model_file.nodes import Shape as Shape
from gr_softmod.model_file.nodes import weight_shape as weight_shape
from gr_softmod.model_file.reading import read as read
