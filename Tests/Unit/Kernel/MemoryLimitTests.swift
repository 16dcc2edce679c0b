import Foundation
import SystemPackage
import Testing
import WarmstartKernel
import WarmstartTestSupport

/// How much memory a process may use, as made-up machines say it.
@Suite struct MemoryLimitTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
  }

  let gibibyte = MemoryLimitTests.gibibyte

  @Test func `without groups the machine is the limit, or what the process may have`() throws {
    let machine = try machine([:], cgroup: "", mounts: "")
    #expect(machine.smallest() == 32 * gibibyte)
    #expect(machine.available() == 16 * gibibyte)
    let limited = try self.machine([:], cgroup: "", mounts: "", processLimit: 5)
    #expect(limited.smallest() == 5)
  }

  @Test(arguments: [
    ("max\n", "max\n", 32, 16), ("8589934592\n", "max\n", 8, 6), ("max\n", "4294967296\n", 4, 2),
    ("8589934592\n", "4294967296\n", 4, 2), ("4294967296", "8589934592", 4, 2),
  ])
  func `a group of the second version has two limits`(
    max: String, high: String, smallest: Int, available: Int
  ) throws {
    let files = second(
      "/system.slice/w.service", max: max, high: high, usage: 3 * gibibyte,
      inactive: gibibyte / 2, active: gibibyte / 2)
    let machine = try machine(
      files, cgroup: "0::/system.slice/w.service\n", mounts: Self.secondMount)
    #expect(machine.smallest() == smallest * gibibyte)
    #expect(machine.available() == available * gibibyte)
  }

  @Test func `limits are read anew`() throws {
    let machine = try machine(
      second("/a", max: "\(8 * gibibyte)"), cgroup: "0::/a\n", mounts: Self.secondMount)
    #expect(machine.smallest() == 8 * gibibyte)
    _ = try self.machine(
      second("/a", max: "\(2 * gibibyte)", usage: gibibyte), cgroup: "", mounts: "")
    #expect(machine.smallest() == 2 * gibibyte)
    #expect(machine.available() == gibibyte)
  }

  @Test func `shared memory is used, pages of files are not`() throws {
    let machine = try machine(
      second(
        "/a", max: "\(8 * gibibyte)", usage: 7 * gibibyte, inactive: gibibyte, active: gibibyte,
        shared: 5 * gibibyte), cgroup: "0::/a\n", mounts: Self.secondMount)
    #expect(machine.available() == 3 * gibibyte)
  }

  @Test func `a group of the first version has one limit, and counts what is below it`() throws {
    let machine = try machine(
      merged(
        first(""),
        first(
          "/a", limit: "\(8 * gibibyte)\n", usage: 7 * gibibyte, inactive: gibibyte,
          active: gibibyte)),
      cgroup: "4:memory:/a\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n", mounts: Self.firstMount)
    #expect(machine.smallest() == 8 * gibibyte)
    #expect(machine.available() == 3 * gibibyte)
  }

  @Test(arguments: ["9223372036854771712\n", "9223372036854775807\n", "18446744073709551615\n"])
  func `a value near the greatest number is no limit`(limit: String) throws {
    let machine = try machine(
      first("/a", limit: limit, usage: gibibyte), cgroup: "4:memory:/a\n", mounts: Self.firstMount)
    #expect(machine.smallest() == 32 * gibibyte)
    #expect(machine.available() == 16 * gibibyte)
  }

  @Test(arguments: [true, false])
  func `a hybrid host counts memory in the first version`(isFirst: Bool) throws {
    let unified = "27 24 0:25 / /sys/fs/cgroup/unified rw shared:6 - cgroup2 cgroup2 rw\n"
    let lines = ["0::/a\n", "4:memory:/a\n"]
    let machine = try machine(
      merged(
        ["sys/fs/cgroup/unified/a/cgroup.procs": "1\n"],
        first("/a", limit: "\(8 * gibibyte)\n", usage: gibibyte)),
      cgroup: isFirst ? lines[0] + lines[1] : lines[1] + lines[0],
      mounts: isFirst ? unified + Self.firstMount : Self.firstMount + unified)
    #expect(machine.smallest() == 8 * gibibyte)
    #expect(machine.available() == 7 * gibibyte)
  }

  @Test func `the smallest limit counts, wherever on the way up it is`() throws {
    for smallest in ["", "/a", "/a/b", "/a/b/c"] {
      var files: [String: String] = [:]
      for path in ["", "/a", "/a/b", "/a/b/c"] {
        // The root of all has no limits in the second version.
        let limit = path == smallest ? 4 : 8
        files.merge(
          first(path, limit: "\(limit * gibibyte)", usage: path == smallest ? gibibyte : 0)
        ) { $1 }
        if path != "" {
          files.merge(
            second(path, max: "\(limit * gibibyte)", usage: path == smallest ? gibibyte : 0)
          ) { $1 }
        }
      }
      let first = try machine(files, cgroup: "4:memory:/a/b/c\n", mounts: Self.firstMount)
      #expect(first.smallest() == 4 * gibibyte)
      #expect(first.available() == 3 * gibibyte)
      guard smallest != "" else { continue }
      let second = try machine(files, cgroup: "0::/a/b/c\n", mounts: Self.secondMount)
      #expect(second.smallest() == 4 * gibibyte)
      #expect(second.available() == 3 * gibibyte)
    }
  }

  @Test func `a full parent leaves nothing to a child with a larger limit`() throws {
    let machine = try machine(
      merged(
        second("/a", max: "\(2 * gibibyte)", usage: 2 * gibibyte + 4096),
        second("/a/b", max: "\(8 * gibibyte)", usage: gibibyte)),
      cgroup: "0::/a/b\n", mounts: Self.secondMount)
    #expect(machine.smallest() == 2 * gibibyte)
    #expect(machine.available() == 0)
  }

  @Test func `groups on the way up that do not count memory are skipped`() throws {
    let machine = try machine(
      merged(
        second("/a", max: "\(2 * gibibyte)"), ["sys/fs/cgroup/a/b/c/cgroup.procs": "1\n"]),
      cgroup: "0::/a/b/c\n", mounts: Self.secondMount)
    #expect(machine.smallest() == 2 * gibibyte)
  }

  // MARK: Containers

  @Test(arguments: [
    // What is mounted is the container's group, and the process is in it, below it or elsewhere.
    ("/docker/1", "/docker/1", ""), ("/docker/1", "/docker/1/a", "/a"), ("/docker/1", "/", ""),
    ("/docker/1", "/docker/2/a", ""), ("/docker/1", "/docker/10", ""),
    // With a namespace of its own, also if it was moved out of it.
    ("/", "/", ""), ("/", "/a", "/a"), ("/", "/../b", ""), ("/..", "/", ""),
    // A group that was removed, or of which nothing is to be seen.
    ("/", "/a/gone (deleted)", "/a"), ("/", "/docker/1", ""),
    // A group with an odd name.
    (#"/x\040y\134z"#, #"/x y\z/a"#, "/a"),
  ])
  func `a container sees its own group and those below`(
    root: String, path: String, group: String
  ) throws {
    let machine = try machine(
      merged(
        first("", limit: "\(8 * gibibyte)"),
        first(group, limit: "\(2 * gibibyte)", usage: gibibyte),
        // Beside the mount, where no group is.
        ["sys/fs/cgroup/b/memory.limit_in_bytes": "4096"]),
      cgroup: "4:memory:\(path)\n",
      mounts: "26 24 0:24 \(root) /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n")
    #expect(machine.smallest() == 2 * gibibyte)
    #expect(machine.available() == gibibyte)
  }

  @Test func `the mount that shows most is used`() throws {
    let part = "30 20 0:23 /a/b /mnt/part ro - cgroup2 cgroup2 rw\n"
    for mounts in [part + Self.secondMount, Self.secondMount + part] {
      let machine = try machine(
        merged(
          second("/a", max: "\(2 * gibibyte)"), second("/a/b", max: "\(4 * gibibyte)"),
          ["mnt/part/memory.max": "\(4 * gibibyte)"]),
        cgroup: "0::/a/b\n", mounts: mounts)
      #expect(machine.smallest() == 2 * gibibyte)
    }
  }

  @Test func `a mount of another group is not used`() throws {
    let other = "30 20 0:23 /docker/2 /mnt/other ro - cgroup2 cgroup2 rw\n"
    for mounts in [other + Self.secondMount, Self.secondMount + other] {
      let machine = try machine(
        merged(second("/a", max: "\(2 * gibibyte)"), ["mnt/other/memory.max": "\(gibibyte)"]),
        cgroup: "0::/a\n", mounts: mounts)
      #expect(machine.smallest() == 2 * gibibyte)
    }
  }

  @Test func `a limit above the container's view counts too`() throws {
    let machine = try machine(
      merged(first(""), first("/a", inherited: "\(3 * gibibyte)\n")),
      cgroup: "4:memory:/pod/1/a\n",
      mounts: "26 24 0:24 /pod/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n")
    #expect(machine.smallest() == 3 * gibibyte)
  }

  // MARK: What cannot be read

  @Test func `if /proc shows only processes, free memory and file pages are available`() throws {
    let hidden = try machine(["proc/meminfo": "-"], cgroup: "", mounts: "")
    #expect(hidden.available() == gibibyte)
    func node(_ number: Int, free: Int) -> [String: String] {
      [
        "sys/devices/system/node/node\(number)/meminfo":
          "Node \(number) MemTotal:       16777216 kB\nNode \(number) MemFree:        \(free) kB\n"
          + "Node \(number) Active(anon):   16777216 kB\nNode \(number) Active(file):    1048576 kB\n"
          + "Node \(number) Inactive(file):  1048576 kB\nNode \(number) Shmem:          1048576 kB\n"
      ]
    }
    let nodes = try machine(
      merged(
        ["proc/meminfo": "-", "sys/devices/system/node/possible": "0-1\n"], node(0, free: 1 << 20),
        node(1, free: 0)), cgroup: "", mounts: "")
    #expect(nodes.available() == 5 * gibibyte)
    let limited = try machine(
      merged(["proc/meminfo": "-"], second("/a", max: "\(2 * gibibyte)", usage: gibibyte)),
      cgroup: "0::/a\n", mounts: Self.secondMount)
    #expect(limited.available() == gibibyte)
  }

  @Test func `an old kernel's meminfo is ignored`() throws {
    let machine = try machine(
      ["proc/meminfo": "MemTotal: 33554432 kB\nMemFree: 4 kB\n"], cgroup: "", mounts: "")
    #expect(machine.available() == gibibyte)
  }

  private static let garbage = [
    "", "\n", "-1\n", "x", "1 2", "0x10", "99999999999999999999999\n", "\u{0}\u{ff}", "maxi",
    "1e9", String(repeating: "9", count: 100_000),
  ]

  @Test(arguments: garbage)
  func `a malformed limit limits nothing`(text: String) throws {
    // The largest numbers that make sense must not overflow either.
    let most = "18446744073709551615"
    for (path, mounts) in [("0::/a\n", Self.secondMount), ("4:memory:/a\n", Self.firstMount)] {
      var files = merged(second("/a", max: text, high: text), first("/a", limit: text))
      let limitless = try machine(files, cgroup: path, mounts: mounts)
      #expect(limitless.smallest() == 32 * gibibyte)
      #expect(limitless.available() == 16 * gibibyte)

      files = merged(
        second("/a", max: "\(gibibyte)"), first("/a", limit: "\(gibibyte)", inherited: text))
      for name in ["memory.current", "memory.usage_in_bytes", "memory.stat"] {
        for directory in ["sys/fs/cgroup/a/", "sys/fs/cgroup/memory/a/"] {
          files[directory + name] = text
        }
      }
      #expect(try machine(files, cgroup: path, mounts: mounts).available() == gibibyte)
      files = merged(
        second("/a", max: "\(gibibyte)", usage: .max, inactive: .max),
        first("/a", limit: "\(gibibyte)", usage: .max, inactive: .max),
        [
          "sys/fs/cgroup/a/memory.stat": "inactive_file \(most)\nactive_file \(most)\n",
          "sys/fs/cgroup/memory/a/memory.stat":
            "total_inactive_file \(most)\ntotal_active_file \(most)\n",
        ])
      #expect(try machine(files, cgroup: path, mounts: mounts).available() == gibibyte)
    }
    for meminfo in [text, "MemAvailable: \(text) kB\n", "MemAvailable: 5\n", "MemAvailable:\n"] {
      let machine = try machine(["proc/meminfo": meminfo], cgroup: text, mounts: text)
      #expect(machine.smallest() == 32 * gibibyte)
      #expect(machine.available() == gibibyte)
    }
    let much = try machine(
      ["proc/meminfo": "MemAvailable: \(most) kB\n"], cgroup: "0::\n4:memory\n::\n:\n:memory:\n",
      mounts: "- - - - - - -\n1 2 3 / /sys rw - cgroup2\n1 2 3 / / rw - cgroup2 x\n\(text)\n")
    #expect(much.smallest() == 32 * gibibyte)
    #expect(much.available() >= 32 * gibibyte)
  }

  @Test func `this machine has some memory`() {
    let machine = MemoryLimit()
    #expect((1...WarmstartKernel.Process.physicalByteCount).contains(machine.smallest()))
    #expect((1...WarmstartKernel.Process.physicalByteCount).contains(machine.available()))
    // Hidden as in a service, it has about the same; never more than there is.
    #expect(
      (1...WarmstartKernel.Process.physicalByteCount).contains(
        WarmstartKernel.Process.freeByteCount))
  }

  @Test func `the limits of this process are the smaller of two`() async {
    await #expect(processExitsWith: .success) {
      guard WarmstartKernel.Process.memoryLimit == .max else { return }
      // RLIMIT_DATA, RLIMIT_AS
      for (number, count) in [(2, 1 << 50), (9, 1 << 49), (2, 1 << 48)] {
        var limit = rlimit(rlim_cur: rlim_t(count), rlim_max: rlim_t.max)
        _ = unsafe setrlimit(__rlimit_resource_t(UInt32(number)), &limit)
        #expect(WarmstartKernel.Process.memoryLimit == count)
      }
    }
  }
}
