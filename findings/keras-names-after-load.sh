#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    A model that was saved as .keras and loaded again calls its variables as before.
# Seen:     A Sequential model loses its own name: net/d1/kernel becomes d1/kernel, in variable.path
#           and in the checkpoints that are written from then on. from_config() does the same,
#           clone_model() does not.
# Source:   no report found.
# Do:       Where checkpoints are matched by name, write them from a model that the code builds:
#           build it, then model.load_weights("model.keras").
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2
from finding import see


def names(model):
    prefix = tf.train.Checkpoint(model=model).write("model")
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(
        tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return sorted(a.full_name for node in graph.nodes for a in node.attributes)


def build():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="d1")], name="net")


model = build()
model.save("model.keras")
loaded = keras.models.load_model("model.keras")
see("name of the loaded model", loaded.name, "net")
see("names, built", names(model), ["net/d1/bias", "net/d1/kernel"])
see("names, loaded", names(loaded), ["d1/bias", "d1/kernel"])
see("paths, loaded", [v.path for v in loaded.variables], ["d1/kernel", "d1/bias"])
see("names, from_config()", names(keras.Sequential.from_config(model.get_config())),
    ["d1/bias", "d1/kernel"])
see("names, clone_model()", names(keras.models.clone_model(model)),
    ["net/d1/bias", "net/d1/kernel"])
other = build()
other.load_weights("model.keras")
see("load_weights() of .keras: weights are right",
    all(map(np.array_equal, other.get_weights(), model.get_weights())))
END
