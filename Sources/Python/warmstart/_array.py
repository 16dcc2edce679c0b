"""Arrays whose memory all jobs share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Origin(NamedTuple):
    """The checkpoint that an array comes from, and how its bytes were requested."""

    socket: str
    path: str
    generation: str
    alignment: int
    sealed: bool
    cast: bool = False


class Place(NamedTuple):
    """A tensor, or a slice of it."""

    origin: Origin
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    # Only for a slice: the whole tensor's shape, and where the slice begins on each axis.
    full_shape: tuple[int, ...] | None
    starts: tuple[int, ...]


class SharedArray(np.ndarray[Any, np.dtype[Any]]):
    """A numpy array in memory that all jobs of the machine share, or in a private copy of it.

    The array is read-only unless it was requested as writable; pages that the process then writes
    become its own copies. The array keeps its memory for as long as it lives, whatever is closed.
    The results of arithmetic are ordinary arrays. A read-only array is pickled in a few hundred
    bytes, and unpickling on the same machine maps the same memory.
    """

    __slots__ = ("_place",)
    # The handles, and the position of the handle whose memory this array, or its base, lies in.
    _place: Any

    def __array_finalize__(self, source: npt.NDArray[Any] | None) -> None:
        # A copy has its own memory, and must not keep the memory of its source. An array without a
        # source gets its place from who makes it.
        if source is not None:
            self._place = None if self.base is None else getattr(source, "_place", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array is self:
            return self
        if return_scalar or array.shape == ():
            return array[()]
        return array.view(np.ndarray)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """Returns the array as a tensor, in the same memory if that is aligned. TensorFlow calls
        this.

        The array is read-only from then on, because a write to it would change the tensor. A
        view of a writable array is copied. In graphs, the tensor is a constant.
        """
        import tensorflow as tf

        plain = self.view(np.ndarray)
        is_part = isinstance(self.base, np.ndarray) and self.flags.writeable
        if not tf.executing_eagerly() or is_part:
            return tf.constant(plain, dtype=dtype, name=name)
        self.flags.writeable = False
        tensor = tf.stop_gradient(plain)
        return tensor if dtype is None or tensor.dtype == dtype else tf.cast(tensor, dtype)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __reduce_ex__(self, protocol: Any) -> Any:
        found = getattr(self, "_place", None)
        if found is not None and not self.flags.writeable and self.size:
            handles, at = found
            start, end = handles.address(at)
            first, last = _byte_bounds(self)
            place = handles.place(at)
            if start <= first and last <= end and place is not None:
                offset = self.__array_interface__["data"][0] - start
                return _restore, (place, offset, self.shape, self.strides, self.dtype)
        return self.view(np.ndarray).__reduce_ex__(protocol)


# numpy 1 has the function in its main module.
_byte_bounds: Any = getattr(np.lib, "array_utils", np).byte_bounds

# The checkpoints whose arrays this process unpickled last. Opening a checkpoint anew for each array
# would cost more than the array.
_opened: dict[Origin, Any] = {}
_KEPT = 4


def _restore(
    place: Place,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
) -> npt.NDArray[Any]:
    """Maps what another process of this machine pickled.

    Raises as `Client.open`, and CHECKPOINT_CHANGED if the files have changed since then.
    """
    from ._default_client import open_origin

    checkpoint = _opened.get(place.origin)
    if checkpoint is None:
        checkpoint = open_origin(place.origin)
        # Other threads may run this at the same time.
        for oldest in list(_opened)[: 1 - _KEPT]:
            _opened.pop(oldest, None)
        _opened[place.origin] = checkpoint
    array: npt.NDArray[Any] = checkpoint.restore(place)
    if (offset, shape, strides, dtype) == (0, array.shape, array.strides, array.dtype):
        return array
    part: SharedArray = np.ndarray.__new__(
        SharedArray, shape, dtype, array.reshape(-1).view(np.uint8), offset, strides
    )
    part._place = getattr(array, "_place", None)
    return part
