#!/bin/sh
# Packages: tensorflow-cpu 2.21.0
# Guess:    What a checkpoint was saved with, it can be restored with: MaxShardSizePolicy cuts a
#           large variable into slices, and TensorFlow puts the slices together, whatever the dtype.
# Seen:     float32, bfloat16 and uint8 come back. float16, uint16 and string are saved without a
#           complaint, and neither restore() nor load_checkpoint() can read them.
# Source:   no report found. The reader copies slices for a list of dtypes that lacks these three.
# Do:       Save such variables without the policy, or cast them. Restore a checkpoint once before
#           the job relies on it.
. "$(dirname "$0")/lib/finding.sh"
packages tensorflow-cpu==2.21.0
python <<'END'
import tensorflow as tf
from finding import error, see

options = tf.train.CheckpointOptions(
    experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(max_shard_size=400))
for dtype, name in [
    ("float32", None), ("bfloat16", None), ("uint8", None),
    ("float16", "half"), ("uint16", "uint16"), ("string", "string"),
]:
    value = tf.fill([300], "text") if dtype == "string" else tf.cast(tf.fill([300], 2), dtype)
    variable = tf.Variable(value)
    checkpoint = tf.train.Checkpoint(v=variable)
    see(f"{dtype}, saving", error(lambda: checkpoint.write(dtype, options)), "no error")
    seen = error(lambda: checkpoint.read(dtype).assert_consumed())
    see(f"{dtype}, restore()", seen,
        f"InvalidArgumentError: Dtype {name} not supported." if name else "no error")
    seen = error(lambda: tf.train.load_checkpoint(dtype).get_tensor(
        "v/.ATTRIBUTES/VARIABLE_VALUE"))
    see(f"{dtype}, get_tensor()", seen,
        f"ValueError: Dtype {name} not supported." if name else "no error")
END
