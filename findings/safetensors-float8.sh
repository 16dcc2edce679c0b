#!/bin/sh
# Packages: safetensors 0.8.0, ml_dtypes 0.6.0, jax 0.10.2, numpy 2.4.6
# Guess:    What safetensors.numpy and safetensors.flax save, they load.
# Seen:     bfloat16 comes back. The float8 types are saved soundly and cannot be loaded: the loader
#           looks for them in NumPy, which does not have them.
# Source:   safetensors/safetensors#682 (for paddle; numpy and flax are the same)
# Do:       Read the bytes at data_offsets of the header, and view them as the type of ml_dtypes, as
#           this script does.
. "$(dirname "$0")/lib/finding.sh"
packages safetensors==0.8.0 ml_dtypes==0.6.0 jax==0.10.2 numpy==2.4.6
python <<'END'
import json
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors.flax
import safetensors.numpy
from finding import error, see

for dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"):
    expected = ("no error" if dtype == "bfloat16" else
                f"AttributeError: module 'numpy' has no attribute '{dtype}'")
    values = np.array([1, 2, 4]).astype(getattr(ml_dtypes, dtype))
    for module, array in [(safetensors.numpy, values), (safetensors.flax, jnp.asarray(values))]:
        module.save_file({"w": array}, "model.safetensors")
        see(f"{dtype}, {module.__name__}.load_file",
            error(lambda: module.load_file("model.safetensors")), expected)
    with open("model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(length))["w"]["data_offsets"]
        file.seek(8 + length + begin)
        read = np.frombuffer(file.read(end - begin), values.dtype)
    see(f"{dtype}, bytes in the file are right", bool(np.array_equal(read, values)))
END
