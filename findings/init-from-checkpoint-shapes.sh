#!/bin/sh
# Packages: tensorflow-cpu 2.21.0
# Guess:    init_from_checkpoint refuses a tensor of another shape, for a scope ("a/": "b/") as for
#           a single variable ("a/w": "b/w").
# Seen:     For a single variable it does. For a scope it does not, and a resource variable that was
#           declared with shape [5] then holds the four elements of the checkpoint. A variable of
#           the old kind (use_resource=False) fails when it is initialized.
# Source:   no report found; the documentation does not mention shapes.
# Do:       Compare shapes before the call, or name each variable in the map.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0
python <<'END'
import numpy as np
import tensorflow as tf
from finding import error, see

tf1 = tf.compat.v1
with tf.Graph().as_default(), tf1.Session() as session:
    tf1.get_variable("a/w", initializer=np.arange(4, dtype="float32"))
    session.run(tf1.global_variables_initializer())
    tf1.train.Saver().save(session, "model")

for use_resource, expected in [(True, [0, 1, 2, 3]), (False, "InvalidArgumentError")]:
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = tf1.get_variable("b/w", [5], use_resource=use_resource)
        kind = "resource" if use_resource else "reference"
        seen = error(lambda: tf1.train.init_from_checkpoint("model", {"a/w": "b/w"})).split(":")[0]
        see(f"{kind} variable, by name", seen, "ValueError")
        seen = error(lambda: tf1.train.init_from_checkpoint("model", {"a/": "b/"}))
        see(f"{kind} variable, by scope", seen, "no error")
        seen = error(lambda: session.run(tf1.global_variables_initializer())).split(":")[0]
        if seen == "no error":
            seen = session.run(variable).tolist()
        see(f"  declared {variable.shape}, initialized", seen, expected)
END
