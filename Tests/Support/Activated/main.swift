// Prints what a service manager passed to this process: a line for each descriptor, or an error.

import Glibc
import SystemPackage
import WarmstartKernel
import WarmstartSystemd

do throws(Errno) {
  try Activation.takeDescriptors { name, descriptor in
    let number = descriptor.borrowedNumber()
    let isInherited = fcntl(number, F_GETFD) & FD_CLOEXEC == 0
    print(number, "'\(name)'", isInherited ? "inherited" : "close-on-exec")
  }
} catch {
  print(error == .invalidArgument ? "EINVAL" : error == .badFileDescriptor ? "EBADF" : "\(error)")
}
if unsafe getenv("LISTEN_FDS") != nil { print("LISTEN_FDS") }
