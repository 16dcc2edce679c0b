#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    Layers that a model keeps in a list or a dictionary are saved, as Keras 2 did, or
#           assert_consumed() complains.
# Seen:     tf.train.Checkpoint leaves their weights out, and restores a model without them while
#           assert_consumed() and assert_existing_objects_matched() pass. (After fit() those that
#           are trained are saved, but only as variables of the optimizer.) save_weights() has them.
# Source:   keras-team/keras#18398, closed in 2023 as fixed.
# Do:       Use save_weights(), or make each layer an attribute of its own as well. Compare the
#           number of tensors in the checkpoint with len(model.variables).
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import keras
import numpy as np
import tensorflow as tf
from finding import error, see


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [keras.layers.Dense(2, use_bias=False)]
        self.named = {"x": keras.layers.Dense(2, use_bias=False)}
        self.head = keras.layers.Dense(2, use_bias=False)

    def call(self, x):
        return self.head(self.named["x"](self.blocks[0](x)))


def build(value):
    model = Model()
    model(np.zeros([1, 2], "float32"))
    for variable in model.variables:
        variable.assign(np.full([2, 2], value))
    return model


saved = build(1)
prefix = tf.train.Checkpoint(model=saved).write("model")
saved.save_weights("model.weights.h5")
see("variables of the model", len(saved.variables), 3)
see("keys", [key for key, _ in tf.train.list_variables(prefix) if "VARIABLE_VALUE" in key],
    ["model/head/_kernel/.ATTRIBUTES/VARIABLE_VALUE"])

restored = build(2)
status = tf.train.Checkpoint(model=restored).read(prefix)
see("assert_consumed()", error(status.assert_consumed), "no error")
see("assert_existing_objects_matched()", error(status.assert_existing_objects_matched), "no error")
see("restored, first element of each", [float(w[0, 0]) for w in restored.get_weights()], [2, 2, 1])
restored.load_weights("model.weights.h5")
see("load_weights()", [float(w[0, 0]) for w in restored.get_weights()], [1, 1, 1])
END
