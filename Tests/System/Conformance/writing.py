"""Checkpoints that real TensorFlow writes."""
import math

import tensorflow as tf

import arrays
import theirs
from cases import Variable

tf1 = tf.compat.v1
NAMES = ["w", "a/w", "a/b", "a/deep/w", "a/deep/er/b", "x/w", "x/b", "x/y/z", "bias"]
# Options that only raw operations have.
ODD_NAMES = ["w:0", "a//b", "/", "π/ß", "a/", "a b/c", "a/part_0", ".x", "a\\b", "0"]


class Written:
    """A checkpoint on disk, and its contents: {name: (dtype, array)}."""

    def __init__(self, kind, prefix, tensors, paths):
        self.kind, self.prefix, self.tensors, self.paths = kind, prefix, tensors, paths

    @property
    def is_v1(self):
        return self.kind.startswith("V1")


def random_tensors(rng, without=(), names=NAMES):
    tensors = {}
    for name in rng.sample(names, rng.randint(min(5, len(names)), len(names))):
        dtype = arrays.random_dtype(rng, without)
        shape = arrays.random_shape(rng, empty=rng.random() < 0.2)
        tensors[name] = (dtype, arrays.random_array(rng, dtype, shape))
    return tensors


def random_counts(rng, shape, dtype="float32"):
    """What a partitioner returns for the shape: one axis cut, or even none."""
    axis = rng.randrange(len(shape))
    way = rng.random()
    if way < 0.25:
        cut = tf1.fixed_size_partitioner(rng.randint(1, min(shape[axis], 5)), axis)
    elif way < 0.5 and dtype != "string":
        cut = tf1.min_max_variable_partitioner(rng.randint(1, 6), axis, rng.choice([8, 16, 64]))
    elif way < 0.6 and dtype != "string":
        cut = tf1.variable_axis_size_partitioner(rng.choice([16, 64, 256]), axis)
    else:
        counts = [1] * len(shape)
        counts[axis] = rng.randint(1, min(shape[axis], 5))
        return counts
    counts = list(cut(shape=tf.TensorShape(shape), dtype=tf.as_dtype(dtype)))
    # TensorFlow takes most of a second for ten partitions.
    return counts if math.prod(counts) <= 64 else [1] * len(shape)


def by_saver(rng, directory, kind, tensors):
    """Saved as a training job saves: kind is of "V1" or "V2", "sharded", "partitioned"."""
    v1, sharded = "V1" in kind, "sharded" in kind
    with tf.Graph().as_default(), tf1.Session(config=theirs.CONFIG) as session:
        for name, (dtype, array) in tensors.items():
            counts = None
            if "partitioned" in kind and array.size and array.ndim and rng.random() < 0.7:
                counts = random_counts(rng, array.shape, dtype)
            declared = Variable(name, list(array.shape), dtype, counts)
            with tf.device(f"/cpu:{rng.randrange(theirs.DEVICES) if sharded else 0}"):
                made = theirs.declare(declared)
            for part in declared.parts():
                made[part.name].load(arrays.fed(dtype, part.of(array)), session)
        saver = tf1.train.Saver(
            sharded=sharded,
            write_version=tf1.train.SaverDef.V1 if v1 else tf1.train.SaverDef.V2,
            save_relative_paths=rng.random() < 0.5,
        )
        prefix = saver.save(
            session, f"{directory}/model.ckpt", global_step=7, write_meta_graph=False
        )
    paths = [prefix, prefix, str(directory), f"{directory}/"]
    if v1 and sharded:
        stem = prefix[: prefix.index("-?????")]
        paths += [f"{stem}-*", f"{stem}-0000[0-9]-of-*", f"{stem}-*-of-0000?"]
    return Written(kind, prefix, tensors, paths)


def raw_save(v1, prefix, pieces):
    """Saves pieces (name, shape and slice, dtype, array) into one file or bundle."""
    names, specs = [p[0] for p in pieces], [p[1] for p in pieces]
    data = [arrays.tensor_of(dtype, array) for _, _, dtype, array in pieces]
    if v1:
        tf.raw_ops.SaveSlices(filename=prefix, tensor_names=names, shapes_and_slices=specs, data=data)
    else:
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=specs, tensors=data)


def raw(rng, directory, v1, pieces, tensors, shards=None):
    """Saved by the operations themselves, all at once or in shards."""
    shards = rng.choice([1, 1, 2, 3]) if shards is None else shards
    prefix = f"{directory}/raw"
    dealt = [[] for _ in range(shards)]
    for number, piece in enumerate(pieces):
        dealt[number if number < shards else rng.randrange(shards)].append(piece)
    dealt = [part for part in dealt if part]
    kind = f"{'V1' if v1 else 'V2'} raw"
    if len(dealt) == 1:
        raw_save(v1, prefix, dealt[0])
        return Written(kind, prefix, tensors, [prefix])
    names = []
    for number, part in enumerate(dealt):
        name = prefix if v1 else f"{directory}/part"
        names.append(f"{name}-{number:05d}-of-{len(dealt):05d}")
        raw_save(v1, names[-1], part)
    if v1:
        pattern = f"{prefix}-?????-of-{len(dealt):05d}"
        return Written(kind + " sharded", pattern, tensors, [pattern, f"{prefix}-*"])
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=names, destination_prefix=prefix, delete_old_dirs=False
    )
    return Written(kind + " sharded", prefix, tensors, [prefix])


def raw_plain(rng, directory, v1):
    tensors = random_tensors(rng, arrays.NOT_IN_V1 if v1 else (), NAMES + ODD_NAMES)
    pieces = [(name, "", dtype, array) for name, (dtype, array) in tensors.items()]
    return raw(rng, directory, v1, pieces, tensors)


def by_objects(rng, directory):
    """Saved by TF2, which names tensors by the paths between objects."""
    root = tf.train.Checkpoint()
    tensors = {}
    for name, (dtype, array) in random_tensors(rng, arrays.NOT_ASSIGNABLE).items():
        node, edges = root, []
        *scopes, leaf = name.split("/")
        for scope in scopes:
            edge = "at_" + scope
            if not hasattr(node, edge):
                setattr(node, edge, tf.train.Checkpoint())
            node = getattr(node, edge)
            edges.append(edge)
        with tf.device("/cpu:0"):
            value = arrays.tensor_of(dtype, array)
            setattr(node, "v_" + leaf, tf.Variable(value, shape=array.shape))
        key = "/".join(edges + ["v_" + leaf, ".ATTRIBUTES", "VARIABLE_VALUE"])
        tensors[key] = (dtype, array)
    if rng.random() < 0.5:
        prefix = root.write(f"{directory}/object")
        return Written("object-based", prefix, tensors, [prefix])
    prefix = root.save(f"{directory}/object")
    return Written("object-based", prefix, tensors, [prefix, str(directory)])


def random_checkpoint(rng, directory):
    way = rng.random()
    if way < 0.15:
        return by_objects(rng, directory)
    v1 = rng.random() < 0.35
    if way < 0.35:
        return raw_plain(rng, directory, v1)
    kind = rng.choice(["", " sharded", " partitioned", " partitioned sharded"])
    tensors = random_tensors(rng, arrays.NOT_IN_V1 if v1 else arrays.NOT_ASSIGNABLE)
    return by_saver(rng, directory, ("V1" if v1 else "V2") + kind, tensors)
