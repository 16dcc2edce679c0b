#!/bin/sh
# Packages: safetensors 0.8.0, numpy 2.4.6
# Guess:    safetensors.numpy.save_file writes an array as it reads, whatever its strides, as
#           version 0.7.0 and numpy.save do.
# Seen:     It writes the bytes as they lie in memory under the shape of the array. A transposed,
#           Fortran-ordered or strided array comes back with other values, without an error.
# Source:   safetensors/safetensors#825
# Do:       save_file({name: numpy.ascontiguousarray(array), ...}).
. "$(dirname "$0")/lib/finding.sh"
packages safetensors==0.8.0 numpy==2.4.6
python <<'END'
import numpy as np
from safetensors.numpy import load_file, save_file
from finding import see

array = np.arange(6).reshape(2, 3)
save_file({
    "transposed": array.T, "fortran": np.asfortranarray(array), "strided": np.arange(6)[::2],
    "contiguous": np.ascontiguousarray(array.T)}, "model.safetensors")
loaded = {name: values.tolist() for name, values in load_file("model.safetensors").items()}
print("saved transposed:", array.T.tolist())
see("loaded transposed", loaded["transposed"], [[0, 1], [2, 3], [4, 5]])
print("saved fortran:", array.tolist())
see("loaded fortran", loaded["fortran"], [[0, 3, 1], [4, 2, 5]])
print("saved strided:", [0, 2, 4])
see("loaded strided", loaded["strided"], [0, 1, 2])
see("loaded contiguous", loaded["contiguous"], array.T.tolist())
END
