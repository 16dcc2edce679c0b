#!/bin/sh
# Packages: tensorflow-cpu 2.21.0
# Guess:    Every way from a NumPy array into an eager tensor copies, except DLPack.
# Seen:     tf.constant, convert_to_tensor and identity copy. tf.stop_gradient, expand_dims and
#           ensure_shape, called with an array that starts at a multiple of 64, share its memory: a
#           later write to the array changes the tensor. This holds for read-only arrays, too. Only
#           the first operation of a process copies.
# Source:   no report found.
# Do:       Where sharing is wanted: tf.stop_gradient(array), and leave the array unchanged. Where
#           it is not: tf.constant(array) first.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0
python <<'END'
import ml_dtypes
import numpy as np
import tensorflow as tf
from finding import see


def array(dtype, offset=0):
    memory = np.zeros(4096 + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start:start + 4096].view(dtype)


def shares(call, dtype=np.float32, offset=0, writable=True):
    values = array(dtype, offset)
    view = values.view()
    view.flags.writeable = writable
    tensor = call(view)
    values[:] = 1
    return bool(np.asarray(tensor).ravel()[0] == 1)


tf.stop_gradient(array(np.float32))
for name, call, expected in [
    ("tf.constant", tf.constant, False),
    ("tf.convert_to_tensor", tf.convert_to_tensor, False),
    ("tf.identity", tf.identity, False),
    ("tf.stop_gradient", tf.stop_gradient, True),
    ("tf.expand_dims", lambda a: tf.expand_dims(a, 0), True),
    ("tf.ensure_shape", lambda a: tf.ensure_shape(a, a.shape), True),
]:
    see(f"{name} sees a later write", shares(call), expected)
for dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.uint64, np.complex128):
    see(f"stop_gradient, {np.dtype(dtype)}", shares(tf.stop_gradient, dtype))
see("stop_gradient of a read-only view", shares(tf.stop_gradient, writable=False))
see("stop_gradient at 16 beyond a multiple of 64", shares(tf.stop_gradient, offset=16), False)
END
