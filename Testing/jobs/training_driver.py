"""The command line with a preset "test" of a chosen batch: `training_driver.py BATCH ARGUMENTS...`.

Its network has no dropout, whose draws depend on the process, and computes in full precision.
"""

import sys
from dataclasses import replace

from ActiveSegLoopLib.jobs.command_line import main
from ActiveSegLoopLib.model.plan import PlanSettings
from ActiveSegLoopLib.model.presets import PRESETS, Preset, get_preset


def preset_with_batch(size: int) -> Preset:
    """A tiny cascade that trains with this batch size, its locator with the Dice of a batch."""
    recipe = get_preset("default", False)
    training = replace(recipe.segmenter, batch_size=size, mixed_precision=False)
    plan = PlanSettings(base_channels=4, patch_voxels=8000, dropout=0.0, locator=True)
    locator = replace(training, batch_dice=True)
    return replace(recipe, plan=plan, segmenter=training, locator=locator)


if __name__ == "__main__":
    PRESETS["test"] = lambda gpu: preset_with_batch(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
