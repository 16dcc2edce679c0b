#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    Weights are saved under the names that layers were given, and go back to the layers of
#           these names.
# Seen:     .weights.h5 numbers layers by class ("layers/dense", "layers/dense_1"), and
#           tf.train.Checkpoint by position ("_operations/1"). A model whose layers have the same
#           names in another order loads the weights of "left" into "right". No call complains.
# Source:   no report found for Keras 3. (load_weights(by_name=True) is for old .h5 files.)
# Do:       Load into a model of the same code and order, then move weights by layer name:
#           model.get_layer(name).set_weights(other.get_layer(name).get_weights()).
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import h5py
import keras
import numpy as np
import tensorflow as tf
from finding import error, see


def build(*names):
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(2, name=name)(x) for name in names])


def holds(name):
    """Which layer's weights the named layer of `other` has now."""
    kernel = other.get_layer(name).kernel
    return [n for n in ("left", "right") if np.array_equal(model.get_layer(n).kernel, kernel)]


model = build("left", "right")
model.save_weights("model.weights.h5")
with h5py.File("model.weights.h5") as file:
    see("groups in .weights.h5", sorted(file["layers"]), ["dense", "dense_1", "input_layer"])
other = build("right", "left")
see("load_weights()", error(lambda: other.load_weights("model.weights.h5")), "no error")
see("  left has the weights of", holds("left"), ["right"])

prefix = tf.train.Checkpoint(model=model).write("model")
other = build("right", "left")
read = tf.train.Checkpoint(model=other).read(prefix)
see("Checkpoint.read(), assert_consumed()", error(read.assert_consumed), "no error")
see("  left has the weights of", holds("left"), ["right"])
END
