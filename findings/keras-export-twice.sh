#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    model.export() writes each weight once, under a key that stays the same.
# Seen:     Each weight is in the checkpoint of the SavedModel twice, as variables/N and as
#           _all_variables/M, under the same full name. The file has twice the size of the weights,
#           and N and M differ for the same weight.
# Source:   keras-team/keras#23553
# Do:       Plan for twice the space. Refer to variables/N, which is the order of model.variables.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import os
import keras
import numpy as np
import tensorflow as tf
from finding import see

model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(500), keras.layers.Dense(300)])
model.export("saved", verbose=False)
prefix = "saved/variables/variables"
reader = tf.train.load_checkpoint(prefix)
keys = [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
        for key in reader.get_variable_to_shape_map() if "VARIABLE_VALUE" in key]
see("weights", len(model.variables), 4)
see("keys", sorted(keys), sorted(f"{list}/{i}" for list in ("variables", "_all_variables")
                                 for i in range(4)))
see("variables/N is the Nth of model.variables", all(
    np.array_equal(reader.get_tensor(f"variables/{i}/.ATTRIBUTES/VARIABLE_VALUE"), weight)
    for i, weight in enumerate(model.get_weights())))
size = os.path.getsize(prefix + ".data-00000-of-00001")
see("size of the file, in sizes of the weights",
    round(size / sum(weight.nbytes for weight in model.get_weights()), 1), 2)
END
