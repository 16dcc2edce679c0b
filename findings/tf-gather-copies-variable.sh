#!/bin/sh
# Packages: tensorflow-cpu 2.21.0, keras 3.15.1
# Guess:    tf.gather(variable, ids) reads the rows and leaves the variable's memory as it is.
# Seen:     When the variable shares its memory with another tensor, the first gather copies all of
#           it (256 MiB for one row), and from then on each read of the whole variable makes another
#           copy. tf.gather(variable.value(), ids) and keras.layers.Embedding copy nothing.
# Source:   no report found. A gather makes the variable copy on read.
# Do:       Call tf.gather(variable.value(), ids) for large tables, also in place of
#           tf.nn.embedding_lookup.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0 keras==3.15.1
python <<'END'
import keras
import numpy as np
import tensorflow as tf
from finding import see

MIB = 1 << 20


def anonymous():
    with open("/proc/self/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024


def copies(call):
    """How many copies of 256 MiB the call leaves behind while its result is kept."""
    before = anonymous()
    kept = call()
    after = anonymous()
    del kept
    return round((after - before) / (256 * MIB))


def shared():
    variable = tf.Variable(tf.zeros([1, 1]), shape=tf.TensorShape([None, None]))
    tensor = tf.ones([65536, 1024])
    variable.assign(tensor)
    return variable, tensor


tf.gather(tf.Variable(tf.ones([2, 2])), [0])
see("assign() of a tensor", copies(shared), 1)
variable, tensor = shared()
see("a read of the whole", copies(variable.value), 0)
see("tf.gather(variable.value(), [5])", copies(lambda: tf.gather(variable.value(), [5])), 0)
see("tf.gather(variable, [5])", copies(lambda: tf.gather(variable, [5])), 1)
see("a read of the whole, now", copies(variable.value), 1)
layer = keras.layers.Embedding(65536, 1024)
layer.build()
layer.embeddings.value.assign(tensor)
see("keras.layers.Embedding", copies(lambda: layer(np.array([5]))), 0)
END
