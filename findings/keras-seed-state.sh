#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    The state of Dropout's random generator is one of model.variables, so it is saved, and a
#           job that goes on from a checkpoint draws what it would have drawn.
# Seen:     Neither tf.train.Checkpoint nor save_weights() has it. assert_consumed() passes, and the
#           restored model goes on from the state it had. model.export() does save it.
# Source:   keras-team/keras#19796 (for .keras files)
# Do:       Do not expect a resumed run to repeat one that was not interrupted. Where that matters,
#           save layer.seed_generator.state beside the weights.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import h5py
import keras
import numpy as np
import tensorflow as tf
from finding import error, see

model = keras.Sequential(
    [keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dropout(0.5, seed=1)])
see("variables", [v.name for v in model.variables], ["kernel", "bias", "seed_generator_state"])
state = model.layers[1].seed_generator.state
prefix = tf.train.Checkpoint(model=model).write("model")
model.save_weights("model.weights.h5")
see("tensors in the checkpoint", len(tf.train.list_variables(prefix)) - 1, 2)
with h5py.File("model.weights.h5") as file:
    arrays = []
    file.visititems(lambda name, item: arrays.append(name) if hasattr(item, "shape") else None)
see("arrays in .weights.h5", arrays, ["layers/dense/vars/0", "layers/dense/vars/1"])

saved = np.array(state)
model(np.ones([1, 8]), training=True)
drawn = np.array(state)
status = tf.train.Checkpoint(model=model).read(prefix)
see("assert_consumed()", error(status.assert_consumed), "no error")
see("state after restore is what was saved", bool(np.array_equal(state, saved)), False)
model.load_weights("model.weights.h5")
see("state after load_weights is what was saved", bool(np.array_equal(state, saved)), False)
see("state is as drawing left it", bool(np.array_equal(state, drawn)))
END
