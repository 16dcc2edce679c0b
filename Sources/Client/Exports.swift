// A trainer imports `WarmstartClient` alone: the types of its interface come with it.

@_exported public import WarmstartTensorModel

@_exported public import struct WarmstartMessages.Evicted
@_exported public import struct WarmstartMessages.StatusReport
