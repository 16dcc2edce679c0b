#!/bin/sh
# Packages: safetensors 0.8.0, numpy 2.4.6
# Guess:    safe_open(...).get_slice(name) takes slices as NumPy does, except for steps: an end
#           behind the last row is cut off, and negative numbers count from the end.
# Seen:     Steps work, and negative indexes. A slice with a negative start or an end behind the
#           last row is an error, so the usual loop over blocks fails at a last block that is not
#           full.
# Source:   none found for these two; safetensors/safetensors#560 and #843 are near.
# Do:       Compute start and stop from get_shape(): stop = min(start + rows, shape[0]).
. "$(dirname "$0")/lib/finding.sh"
packages safetensors==0.8.0 numpy==2.4.6
python <<'END'
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from finding import error, see

array = np.arange(12).reshape(4, 3)
save_file({"w": array}, "model.safetensors")
with safe_open("model.safetensors", framework="numpy") as file:
    part = file.get_slice("w")
    see("[::2] is NumPy's", bool(np.array_equal(part[::2], array[::2])))
    see("[-1] is NumPy's", bool(np.array_equal(part[-1], array[-1])))
    see("[-2:]", error(lambda: part[-2:]), "OverflowError: can't convert negative int to unsigned")
    see("[3:6] of 4 rows", error(lambda: part[3:6]).split(":")[0], "SafetensorError")
    see("[3:4]", part[3:4].tolist(), [[9, 10, 11]])
END
