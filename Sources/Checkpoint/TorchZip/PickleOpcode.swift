/// The instructions of a pickle, with the names of Python's `pickletools`.
///
/// These are the ones that Python's pickler writes for protocols 2 to 5. Those that end with a line
/// of text belong to the protocols 0 and 1, except `global`.
enum PickleOpcode: UInt8 {
  case mark = 0x28
  case emptyTuple = 0x29
  case stop = 0x2e
  case pop = 0x30
  case popMark = 0x31
  case dup = 0x32
  case binbytes = 0x42
  case shortBinbytes = 0x43
  case binfloat = 0x47
  case binint = 0x4a
  case binint1 = 0x4b
  case binint2 = 0x4d
  case none = 0x4e
  case binpersid = 0x51
  case reduce = 0x52
  case binstring = 0x54
  case shortBinstring = 0x55
  case binunicode = 0x58
  case emptyList = 0x5d
  case append = 0x61
  case build = 0x62
  case global = 0x63
  case appends = 0x65
  case binget = 0x68
  case longBinget = 0x6a
  case binput = 0x71
  case longBinput = 0x72
  case setitem = 0x73
  case tuple = 0x74
  case setitems = 0x75
  case emptyDict = 0x7d
  case proto = 0x80
  case newobj = 0x81
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case newtrue = 0x88
  case newfalse = 0x89
  case long1 = 0x8a
  case long4 = 0x8b
  case shortBinunicode = 0x8c
  case binunicode8 = 0x8d
  case binbytes8 = 0x8e
  case emptySet = 0x8f
  case additems = 0x90
  case frozenset = 0x91
  case newobjEx = 0x92
  case stackGlobal = 0x93
  case memoize = 0x94
  case frame = 0x95
  case bytearray8 = 0x96
}
