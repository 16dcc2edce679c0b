import WarmstartWire

/// A call that is being answered: its envelope, and the message that the envelope's ranges lie in.
///
/// It is borrowed by whatever answers it: to copy it would count references at each step.
struct IncomingCall: ~Copyable {
  let envelope: Call
  let message: ArraySlice<UInt8>

  init(_ message: ArraySlice<UInt8>) throws(WireError) {
    self.message = message
    do { envelope = try Call(parsing: message) } catch { throw .malformed("\(error)") }
  }

  var path: ArraySlice<UInt8> { message[envelope.path] }
  var request: ArraySlice<UInt8> { message[envelope.request] }
}
