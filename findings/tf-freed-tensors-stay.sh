#!/bin/sh
# Packages: tensorflow-cpu 2.21.0
# Guess:    Memory of a tensor that nobody has any more goes back to the system, at least where the
#           tensor is so large that the C library would map it for itself.
# Seen:     The process keeps it: after a 64 MiB initial value of a variable was replaced, or four
#           tensors of 64 MiB were deleted, it has as much anonymous memory as before. TensorFlow
#           takes it for later tensors. With TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1 all goes back.
# Source:   no report found.
# Do:       Make variables of the values that they are to have (tf.Variable(value)), instead of
#           making them with other initial values and assigning: the initial ones cost as much
#           memory. Or set TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1 before TensorFlow runs anything.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0
cat >"$folder/program.py" <<'END'
import gc
import os
import re

import tensorflow as tf
from finding import see

MIB_64 = [16 << 20]
gives_back = os.environ.get("TF_ONEDNN_USE_SYSTEM_ALLOCATOR") == "1"


def anonymous():
    text = open("/proc/self/smaps_rollup").read()
    return int(re.search(r"Anonymous:\s+(\d+)", text)[1]) // 1024


print("with the system's allocator" if gives_back else "as it comes")
tf.Variable(tf.random.uniform([4]))
start = anonymous()
variable = tf.Variable(tf.random.uniform(MIB_64))
variable.assign(tf.ones(MIB_64))
gc.collect()
kept = (anonymous() - start) // 60
see("MiB of one variable that was assigned once, in 64", kept, 1 if gives_back else 2)
del variable
tensors = [tf.random.uniform(MIB_64) for _ in range(4)]
grown = anonymous() - start
see("MiB of four tensors, in 64", grown // 60, 4)
del tensors
gc.collect()
returned = (grown - (anonymous() - start)) // 60
see("given back after they were deleted, in 64 MiB", returned, 4 if gives_back else 0)
END
python <"$folder/program.py"
export TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1
python <"$folder/program.py"
