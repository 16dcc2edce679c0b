/// The words of the client's interface, so that a trainer imports `WarmstartClient` and nothing else.
@_exported public import WarmstartTensorModel

@_exported public import struct WarmstartMessages.StatusReport
