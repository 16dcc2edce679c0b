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


def crc32c_of_zeros(count, crc=0):
    """Computes the checksum of this many zero bytes: a zero byte changes the state linearly."""
    state = crc ^ 0xFFFFFFFF
    power = [_TABLE[1 << bit & 0xFF] ^ (1 << bit >> 8) for bit in range(32)]
    while count:
        if count & 1:
            state = _times(power, state)
        power = [_times(power, column) for column in power]
        count >>= 1
    return state ^ 0xFFFFFFFF


def masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283
assert crc32c_of_zeros(100) == crc32c(bytes(100))
