"""Computes CRC-32C as checkpoints store it, and that of zeros in no time."""


def _of_byte(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_of_byte(byte) for byte in range(256)]


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _times(matrix, vector):
    """Multiplies over two elements: a matrix maps each bit to its image."""
    product = bit = 0
    while vector:
        if vector & 1:
            product ^= matrix[bit]
        vector >>= 1
        bit += 1
    return product


# Each matrix moves a state over twice as many zero bytes as the one before: a zero byte changes the
# state linearly.
_OVER_ZEROS = [[_TABLE[1 << bit & 0xFF] ^ (1 << bit >> 8) for bit in range(32)]]


def crc32c_of_zeros(count, crc=0):
    """Computes the checksum of this many zero bytes, after bytes with the checksum `crc`."""
    state = crc ^ 0xFFFFFFFF
    for bit in range(count.bit_length()):
        if bit == len(_OVER_ZEROS):
            last = _OVER_ZEROS[-1]
            _OVER_ZEROS.append([_times(last, column) for column in last])
        if count >> bit & 1:
            state = _times(_OVER_ZEROS[bit], state)
    return state ^ 0xFFFFFFFF


def crc32c_of_repeats(unit, count):
    """Computes the checksum of `unit` repeated `count` times, by doubling."""
    # The checksum of a concatenation: the first one's state, moved over zeros, and the second's.
    crc, length = 0, 0
    for bit in bin(count)[2:]:
        crc, length = joined(crc, crc, length), 2 * length
        if bit == "1":
            crc, length = joined(crc, crc32c(unit), len(unit)), length + len(unit)
    return crc


def joined(first, second, second_length):
    """Computes the checksum of two runs from those of each."""
    return crc32c_of_zeros(second_length, first) ^ crc32c_of_zeros(second_length) ^ second


def masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283
assert crc32c_of_zeros(100) == crc32c(bytes(100))
assert crc32c_of_repeats(b"abc", 5) == crc32c(b"abc" * 5)
