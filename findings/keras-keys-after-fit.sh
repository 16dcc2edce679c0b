#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    tf.train.Checkpoint(model=model) has the same keys for the same weights, whether the
#           model was trained before or not; training adds keys of the optimizer.
# Seen:     After fit(), the trainable weights of a Sequential model have the keys
#           model/optimizer/_trainable_variables/N; only what is not trained (moving averages) keeps
#           its key below model/_functional/. With Checkpoint(model=..., optimizer=...) the keys of
#           functional models change, too. The full names in the object graph stay, and restore()
#           works: it follows objects.
# Source:   no report found. A key is the shortest path to a variable, and the optimizer's is often
#           shorter than the model's.
# Do:       Do not write keys into maps of init_from_checkpoint or into scripts. Use the full names,
#           or restore into a model of the same code.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from finding import see


def build():
    return keras.Sequential([
        keras.Input((2,)), keras.layers.Dense(3, name="hidden"),
        keras.layers.BatchNormalization(name="norm")])


def keys(prefix):
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(
        tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {a.full_name: a.checkpoint_key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
            for node in graph.nodes for a in node.attributes}


model = build()
before = keys(tf.train.Checkpoint(model=model).write("before"))
model.compile("adam", "mse")
model.fit(np.ones([8, 2]), np.ones([8, 3]), verbose=0)
after = keys(tf.train.Checkpoint(model=model).write("after"))
see("kernel, before fit()", before["sequential/hidden/kernel"],
    "model/_functional/_operations/1/_kernel")
see("kernel, after fit()", after["sequential/hidden/kernel"],
    "model/optimizer/_trainable_variables/0")
see("moving mean, after fit()", after["sequential/norm/moving_mean"],
    "model/_functional/_operations/2/moving_mean")
both = keys(tf.train.Checkpoint(model=model, optimizer=model.optimizer).write("both"))
see("kernel, saved with the optimizer", both["sequential/hidden/kernel"],
    "optimizer/_trainable_variables/0")
other = build()
tf.train.Checkpoint(model=other).read("after").assert_existing_objects_matched()
see("restore() into a model that was never trained",
    all(map(np.array_equal, other.get_weights(), model.get_weights())))
END
