"""Arrays whose memory all jobs share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Origin(NamedTuple):
    """The checkpoint that an array is of, and how its bytes were asked for."""

    socket: str
    path: str
    generation: str
    alignment: int
    sealed: bool


class Place(NamedTuple):
    """A tensor, or a slice of it."""

    origin: Origin
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    # Of a slice: the whole tensor's shape, and where the slice begins on each axis.
    full_shape: tuple[int, ...] | None
    starts: tuple[int, ...]


class SharedArray(np.ndarray[Any, np.dtype[Any]]):
    """A numpy array in memory that all jobs of the machine share, or in a private copy of it.

    It is read-only unless it was made writable; what is written then is this process's own, page
    by page. It keeps its memory for as long as it lives, whatever is closed. Results of arithmetic
    are ordinary arrays. Pickled, a read-only one travels as a few hundred bytes, and maps the same
    memory where it arrives, if that is on the same machine.
    """

    __slots__ = ("_place",)
    # The handles and the position of the one whose memory this is, or is a part of.
    _place: Any

    def __array_finalize__(self, source: npt.NDArray[Any] | None) -> None:
        # A copy has memory of its own, and need not keep what it is a copy of.
        self._place = None if self.base is None else getattr(source, "_place", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array is self:
            return self
        if return_scalar or array.shape == ():
            return array[()]
        return array.view(np.ndarray)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """What TensorFlow makes of the array: a tensor in the same memory, if that is aligned.

        The array is read-only from then on: what was written to it would change the tensor. A part
        of an array that can be written is copied. TensorFlow calls this. In graphs, the tensor is a
        constant.
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
        if self._place is not None and not self.flags.writeable and self.size:
            handles, at = self._place
            start, end = handles.address(at)
            first, last = _byte_bounds(self)
            place = handles.place(at)
            if start <= first and last <= end and place is not None:
                offset = self.__array_interface__["data"][0] - start
                return _restore, (place, offset, self.shape, self.strides, self.dtype)
        return self.view(np.ndarray).__reduce_ex__(protocol)


_byte_bounds: Any = (
    np.lib.array_utils.byte_bounds if hasattr(np.lib, "array_utils") else np.byte_bounds  # type: ignore[attr-defined,unused-ignore]
)

# The checkpoints of which this process restored arrays last; opening each for every array would
# cost more than the array.
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

    Raises what `Client.open` does, and CHECKPOINT_CHANGED if the files are not the same any more.
    """
    from ._client import open_origin

    checkpoint = _opened.get(place.origin)
    if checkpoint is None:
        checkpoint = open_origin(place.origin)
        # Other threads may do the same.
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
