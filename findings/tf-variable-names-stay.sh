#!/bin/sh
# Packages: tensorflow-cpu 2.21.0
# Guess:    A variable costs the same whatever it is called, and nothing once it is deleted.
# Seen:     In eager mode a variable with a name that the process has not used yet takes several
#           times as long to make as one with a used name, and leaves some 30 KiB of memory behind
#           for ever: 3,000 variables that are made and deleted one after the other leave some 100 MiB
#           if their names differ, and nothing if they are all called the same, or the second time.
# Source:   github.com/tensorflow/tensorflow/issues/40171 is about the same cache, of operations by
#           their attributes, and saved_model.load.
# Do:       In programs that make many variables over time, such as a sweep, call them alike, as
#           Keras does ("kernel", "bias"): names need not be unique in eager mode.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0
python <<'END'
import gc
import re

import tensorflow as tf
from finding import see

COUNT = 3000


def anonymous():
    text = open("/proc/self/smaps_rollup").read()
    return int(re.search(r"Anonymous:\s+(\d+)", text)[1])


def left(name):
    """The KiB that each of COUNT variables leaves behind."""
    before = anonymous()
    for number in range(COUNT):
        variable = tf.Variable([1.0], name=name(number))
        del variable
    gc.collect()
    return (anonymous() - before) / COUNT


left(lambda number: "warm")
see("variables of one name leave less than 1 KiB each", left(lambda number: "w") < 1)
see("variables of new names leave more than 10 KiB each", left(lambda number: f"w{number}") > 10)
see("the same names again leave less than 1 KiB each", left(lambda number: f"w{number}") < 1)
END
