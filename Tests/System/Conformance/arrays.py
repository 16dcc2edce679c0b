"""Random arrays of every type that TensorFlow stores."""
import numpy as np
import tensorflow as tf

# The bits of types for which TensorFlow cannot make arrays.
QUANTIZED = {
    "qint8": np.int8, "quint8": np.uint8, "qint16": np.int16, "quint16": np.uint16,
    "qint32": np.int32,
}  # fmt: skip
COMMON = [
    "float32", "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "bool", "complex64", "string",
]  # fmt: skip
RARE = [
    "complex128", "uint32", "uint64", "qint8", "quint8", "qint32", "qint16", "quint16",
    "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz",
    "int4", "uint4", "int2", "uint2", "float4_e2m1fn",
]  # fmt: skip
# The types that the older format cannot hold.
NOT_IN_V1 = {
    "bfloat16", "uint32", "uint64", "qint16", "quint16", "float8_e5m2", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4", "int2", "uint2",
    "float4_e2m1fn",
}  # fmt: skip
# The types that TensorFlow can read only in the stored slices.
NOT_IN_SLICES = {
    "float16", "uint16", "uint32", "uint64", "qint16", "quint16", "string", "float8_e5m2",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int2", "uint2",
    "float4_e2m1fn",
}  # fmt: skip
# The types that no variable can have, though they can be saved and restored.
NOT_ASSIGNABLE = {
    "qint16", "quint16", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz",
}  # fmt: skip
# The types that only resource variables can have.
RESOURCE_ONLY = set(RARE) - {"complex128", "uint32", "uint64", "qint8", "quint8", "qint32"}


def random_dtype(rng, without=()):
    return rng.choice([dtype for dtype in COMMON * 2 + RARE if dtype not in without])


def random_shape(rng, empty=False):
    if rng.random() < 0.02:
        # More than a page, and not a multiple of one.
        return [rng.randint(1000, 30000)]
    lengths = [1, 2, 3, 5, 7, 12] + ([0] if empty else [])
    return [rng.choice(lengths) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]


def random_array(rng, dtype, shape):
    """Random bits, NaNs of all kinds included, but only valid values of the type."""
    count = int(np.prod(shape, dtype=np.int64))
    if dtype == "string":
        array = np.empty(count, dtype=object)
        array[:] = [rng.randbytes(rng.choice([0, 1, 5, 5, 130])) for _ in range(count)]
        return array.reshape(shape)
    kind = QUANTIZED.get(dtype) or tf.as_dtype(dtype).as_numpy_dtype
    if dtype == "bool":
        return np.array([rng.random() < 0.5 for _ in range(count)], bool).reshape(shape)
    if dtype in ("int4", "int2", "uint4", "uint2", "float4_e2m1fn"):
        low, high = {"int4": (-8, 7), "int2": (-2, 1), "uint4": (0, 15), "uint2": (0, 3)}.get(
            dtype, (-6, 6))
        values = [rng.randint(low, high) for _ in range(count)]
        return np.array(values, np.float32).astype(kind).reshape(shape)
    return np.frombuffer(rng.randbytes(count * np.dtype(kind).itemsize), kind).reshape(shape)


def tensor_of(dtype, array):
    """TensorFlow's tensor of an array."""
    if dtype == "string":
        return tf.constant(array.reshape(-1).tolist(), tf.string, shape=array.shape)
    if dtype in QUANTIZED:
        return tf.bitcast(tf.constant(array), tf.as_dtype(dtype))
    return tf.constant(array, tf.as_dtype(dtype))


def fed(dtype, array):
    """The array as a session takes it."""
    if dtype in QUANTIZED:
        return array.view(tf.as_dtype(dtype).as_numpy_dtype)
    return array
