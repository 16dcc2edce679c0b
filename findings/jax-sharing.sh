#!/bin/sh
# Packages: jax 0.10.2, numpy 2.4.6
# Guess:    On a CPU, jnp.asarray(array) shares the memory of a NumPy array that is aligned, as
#           numpy.asarray would; device_put copies with may_alias=False, and from_dlpack with
#           copy=True.
# Seen:     The opposite. jnp.asarray copies, also with copy=False. device_put shares, also with
#           may_alias=False, and from_dlpack shares, also with copy=True: a later write to the NumPy
#           array changes the JAX array, which is said to be immutable.
# Source:   jax-ml/jax#37830 for device_put
# Do:       To share large weights, use jax.device_put(array). To be safe from later writes, use
#           jnp.array(array), which copies.
. "$(dirname "$0")/lib/finding.sh"
packages jax==0.10.2 numpy==2.4.6
python <<'END'
import jax
import jax.numpy as jnp
import numpy as np
from finding import see


def aligned():
    memory = np.zeros(4096 + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + 4096].view(np.float32)


for what, put, shares in [
    ("jnp.asarray(array)", jnp.asarray, False),
    ("jnp.asarray(array, copy=False)", lambda a: jnp.asarray(a, copy=False), False),
    ("jax.device_put(array)", jax.device_put, True),
    ("jax.device_put(array, may_alias=False)", lambda a: jax.device_put(a, may_alias=False), True),
    ("jnp.from_dlpack(array, copy=True)", lambda a: jnp.from_dlpack(a, copy=True), True),
    ("jnp.array(array)", jnp.array, False),
]:
    array = aligned()
    result = put(array)
    result.block_until_ready()
    array[0] = 1
    see(f"{what} sees a later write", bool(result[0] == 1), shares)
END
