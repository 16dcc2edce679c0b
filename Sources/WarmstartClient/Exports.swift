/// The words of the client's interface, so that a trainer imports `WarmstartClient` and nothing else.
@_exported public import TensorModel

@_exported public import struct Messages.StatusReport
