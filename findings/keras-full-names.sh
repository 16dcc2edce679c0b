#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    The full names that a checkpoint records are unique, as the paths of the variables are.
# Seen:     In a subclassed model, and in a custom layer, whose layers are built by the first call,
#           every kernel is called "m/kernel": the name of the layer is left out. warm_start() goes
#           by these names, so that one weight stands for all of them, without a word.
# Source:   no report found.
# Do:       Build the layers in build() of the model or custom layer: then the full names are the
#           paths. In a checkpoint that exists already, refer to weights by their keys.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from finding import see


class Model(keras.Model):
    def __init__(self):
        super().__init__(name="m")
        self.first = keras.layers.Dense(2)
        self.second = keras.layers.Dense(2)

    def call(self, x):
        return self.second(self.first(x))


class Built(Model):
    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)


def full_names(model):
    prefix = tf.train.Checkpoint(model=model).write("model")
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(
        tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return sorted(a.full_name for node in graph.nodes for a in node.attributes)


built = Built()
built(np.zeros([1, 2], "float32"))
see("full names, with build()", full_names(built),
    ["m/dense/bias", "m/dense/kernel", "m/dense_1/bias", "m/dense_1/kernel"])
model = Model()
model(np.zeros([1, 2], "float32"))
see("paths of the kernels", [v.path for v in model.variables if v.name == "kernel"],
    ["m/dense_2/kernel", "m/dense_3/kernel"])
model.first.kernel.assign(tf.ones([2, 2]))
model.second.kernel.assign(2 * tf.ones([2, 2]))
see("full names, without build()", full_names(model),
    ["m/bias", "m/bias", "m/kernel", "m/kernel"])

with tf.Graph().as_default():
    variable = tf.compat.v1.get_variable("m/kernel", [2, 2])
    tf.compat.v1.train.warm_start("model")
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        see("warm_start() of m/kernel", session.run(variable).tolist(), [[2, 2], [2, 2]])
END
