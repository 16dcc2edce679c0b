#!/bin/sh
# Packages: jax 0.10.2, safetensors 0.8.0, keras 3.15.1, numpy 2.4.6
# Guess:    Where JAX has no 64-bit types (the default), loading 64-bit weights warns, and a value
#           that does not fit is an error.
# Seen:     safetensors.flax.load_file makes int64 into int32 without a warning: 2**40 + 5 comes out
#           as 5. Keras on JAX warns, and wraps as well; its variable says that its dtype is int64
#           while its value is int32.
# Source:   jax's "common gotchas" page describes the truncation; nothing describes it for the two.
# Do:       Set JAX_ENABLE_X64=1 where a checkpoint has 64-bit tensors, or compare dtypes after
#           loading: variable.value.dtype, not variable.dtype.
. "$(dirname "$0")/lib/finding.sh"
packages jax==0.10.2 safetensors==0.8.0 keras==3.15.1 numpy==2.4.6
export KERAS_BACKEND=jax
python <<'END'
import warnings
import keras
import numpy as np
import safetensors.flax
import safetensors.numpy
from finding import see

steps = np.array([2**40 + 5])
safetensors.numpy.save_file({"steps": steps}, "model.safetensors")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loaded = safetensors.flax.load_file("model.safetensors")["steps"]
    see("safetensors.flax, dtype and values", (str(loaded.dtype), loaded.tolist()), ("int32", [5]))
    see("safetensors.flax, warnings", len(caught), 0)
    variable = keras.Variable(steps, dtype="int64", trainable=False)
    see("keras, variable.dtype", variable.dtype, "int64")
    see("keras, dtype and values", (str(variable.value.dtype), variable.value.tolist()),
        ("int32", [5]))
    see("keras, warns", any("truncated" in str(w.message) for w in caught))
END
