#define _GNU_SOURCE
#include "CWarmstartLinux.h"

#include <grp.h>
#include <pwd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// Since Linux 6.1.
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

// Since Linux 5.14.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

// On x86-64 and on arm64 with pages of 4 KiB.
#define HUGE_PAGE ((size_t)2 << 20)

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define EXEC_SEAL 0x20

static int result(long value) { return value < 0 ? -errno : (int)value; }

#define RETRY(call)                               \
  ({                                              \
    long value_;                                  \
    do {                                          \
      value_ = (call);                            \
    } while (value_ < 0 && errno == EINTR);       \
    value_ < 0 ? -(ssize_t)errno : (ssize_t)value_; \
  })

int clinux_close(int descriptor) { return result(close(descriptor)); }

int clinux_duplicate(int descriptor) { return result(fcntl(descriptor, F_DUPFD_CLOEXEC, 3)); }

int clinux_open(const char *path) {
  // O_NONBLOCK: opening a FIFO must not hang; it changes nothing for a regular file.
  return (int)RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

int clinux_create(const char *path, unsigned mode) {
  return (int)RETRY(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, mode));
}

int clinux_create_new(const char *path, unsigned mode) {
  return (int)RETRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode));
}

int clinux_make_directory(const char *path, unsigned mode) { return result(mkdir(path, mode)); }

int clinux_remove(const char *path) { return result(unlink(path)); }

int clinux_rename(const char *from, const char *to) { return result(rename(from, to)); }

int clinux_reopen(int descriptor) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  int opened = (int)RETRY(open(path, O_RDONLY | O_CLOEXEC));
  // Whoever runs as the same user can change the mode, which the owner can put right.
  if (opened == -EACCES && fchmod(descriptor, 0400) == 0)
    opened = (int)RETRY(open(path, O_RDONLY | O_CLOEXEC));
  return opened;
}

ssize_t clinux_path(int descriptor, void *bytes, size_t count) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  return result(readlink(path, bytes, count));
}

int clinux_is_directory(const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) return -errno;
  return S_ISDIR(status.st_mode);
}

int clinux_may_write(const char *path) {
  return eaccess(path, W_OK) < 0 ? -errno : 0;
}

static int64_t nanoseconds(struct timespec time) {
  return (int64_t)((uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec);
}

int clinux_status(int descriptor, struct clinux_status *out) {
  struct stat status;
  if (fstat(descriptor, &status) < 0) return -errno;
  *out = (struct clinux_status){
      .device = status.st_dev,
      .inode = status.st_ino,
      .size = status.st_size,
      .modified_ns = nanoseconds(status.st_mtim),
      .changed_ns = nanoseconds(status.st_ctim),
      .links = status.st_nlink,
      .mode = status.st_mode,
      .owner = status.st_uid,
      .block_bytes = (uint32_t)status.st_blksize,
      .allocated = (int64_t)status.st_blocks * 512,
  };
  return 0;
}

static int64_t statx_nanoseconds(struct statx_timestamp time) {
  return (int64_t)((uint64_t)time.tv_sec * 1000000000u + time.tv_nsec);
}

int clinux_known_status(int descriptor, struct clinux_status *out) {
  struct statx status;
  // What the kernel remembers will do: a server that is gone would not answer.
  if (statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status) < 0)
    return -errno;
  *out = (struct clinux_status){
      .device = makedev(status.stx_dev_major, status.stx_dev_minor),
      .inode = status.stx_ino,
      .size = (int64_t)status.stx_size,
      .modified_ns = statx_nanoseconds(status.stx_mtime),
      .changed_ns = statx_nanoseconds(status.stx_ctime),
      .links = status.stx_nlink,
      .mode = status.stx_mode,
      .owner = status.stx_uid,
      .block_bytes = status.stx_blksize,
      .allocated = (int64_t)status.stx_blocks * 512,
  };
  return 0;
}

int64_t clinux_file_system(int descriptor) {
  struct statfs status;
  if (fstatfs(descriptor, &status) < 0) return -errno;
  return (int64_t)(uint32_t)status.f_type;
}

int clinux_is_read_only(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0) return -errno;
  return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH);
}

ssize_t clinux_read(int descriptor, void *bytes, size_t count) {
  return RETRY(read(descriptor, bytes, count));
}

ssize_t clinux_pread(int descriptor, void *bytes, size_t count, int64_t offset) {
  return RETRY(pread(descriptor, bytes, count, offset));
}

ssize_t clinux_write(int descriptor, const void *bytes, size_t count) {
  return RETRY(write(descriptor, bytes, count));
}

int clinux_directory_open(const char *path, void **directory) {
  // glibc opens with O_DIRECTORY and O_CLOEXEC: a FIFO is refused, not waited for.
  DIR *stream = opendir(path);
  if (stream == NULL) return -errno;
  *directory = stream;
  return 0;
}

int clinux_directory_next(void *directory, const char **name) {
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(directory);
    *name = entry == NULL ? NULL : entry->d_name;
    if (entry == NULL) return -errno;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return 0;
  }
}

void clinux_directory_close(void *directory) { closedir(directory); }

int clinux_memfd(const char *name) {
  int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  // Kernels before 6.3 do not know MFD_NOEXEC_SEAL.
  if (descriptor < 0 && errno == EINVAL)
    descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return -errno;
  if (fchmod(descriptor, 0400) < 0) {
    int error = errno;
    close(descriptor);
    return -error;
  }
  return descriptor;
}

int clinux_resize(int descriptor, int64_t count) {
  return (int)RETRY(ftruncate(descriptor, count));
}

int clinux_reserve(int descriptor, int64_t offset, int64_t count) {
  return (int)RETRY(fallocate(descriptor, 0, offset, count));
}

int clinux_collapse(int descriptor, void *base, int64_t offset, size_t count) {
  // The kernel collapses only ranges that have a page. Writing one through the mapping would raise
  // SIGBUS where memory is short.
  for (size_t done = 0; done < count; done += HUGE_PAGE) {
    ssize_t written = RETRY(pwrite(descriptor, "", 1, offset + (int64_t)done));
    if (written < 0) return (int)written;
  }
  return (int)RETRY(madvise((char *)base + offset, count, MADV_COLLAPSE));
}

int clinux_seal(int descriptor) { return result(fcntl(descriptor, F_ADD_SEALS, SEALS)); }

int clinux_is_held_elsewhere(int descriptor) {
  if (fcntl(descriptor, F_SETLEASE, F_WRLCK) < 0) return errno == EAGAIN ? 1 : -errno;
  return result(fcntl(descriptor, F_SETLEASE, F_UNLCK));
}

int clinux_watches(void) { return result(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)); }

int clinux_watch_end(int watches, int descriptor) {
  char path[40];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  return result(inotify_add_watch(watches, path, IN_DELETE_SELF));
}

ssize_t clinux_ended(int watches, int *ended, size_t count) {
  _Alignas(struct inotify_event) char events[4096];
  ssize_t size = RETRY(read(watches, events, sizeof events));
  if (size < 0) return size == -EAGAIN ? 0 : size;
  size_t found = 0;
  for (ssize_t at = 0; at < size && found < count;) {
    const struct inotify_event *event = (const struct inotify_event *)(events + at);
    // Follows what ended a watch, and is the last of it.
    if (event->mask & IN_IGNORED) ended[found++] = event->wd;
    at += (ssize_t)sizeof *event + event->len;
  }
  // Other events are as good as some that ended: there may be more to read.
  return found > 0 ? (ssize_t)found : -EAGAIN;
}

int clinux_is_sealed(int descriptor) {
  int seals = fcntl(descriptor, F_GET_SEALS);
  return seals >= 0 && (seals & SEALS) == SEALS;
}

int clinux_is_own_arena(int descriptor) {
  int seals = fcntl(descriptor, F_GET_SEALS);
  // MFD_NOEXEC_SEAL adds one, which older headers do not know.
  if (seals < 0 || (seals & ~EXEC_SEAL) != SEALS) return 0;
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH) != 0) return 0;
  struct stat found;
  return fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == geteuid() &&
         found.st_nlink == 0;
}

// Maps a file at an address that has the offset's place in a huge page, or returns MAP_FAILED.
static void *map_aligned(int descriptor, int64_t offset, size_t count, int protection, int flags) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (count > (size_t)INT64_MAX - 2 * HUGE_PAGE) return MAP_FAILED;
  size_t mapped = (count + page - 1) & ~(page - 1), room = mapped + HUGE_PAGE;
  char *start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return MAP_FAILED;
  size_t lead = ((size_t)offset - (uintptr_t)start) & (HUGE_PAGE - 1);
  void *place = mmap(start + lead, count, protection, flags | MAP_FIXED, descriptor, offset);
  if (place == MAP_FAILED) {
    munmap(start, room);
    return MAP_FAILED;
  }
  if (lead > 0) munmap(start, lead);
  if (lead < HUGE_PAGE) munmap(start + lead + mapped, HUGE_PAGE - lead);
  return place;
}

int clinux_map(int descriptor, int64_t offset, size_t count, int writable, int shared,
               void **address) {
  int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  int flags = shared ? MAP_SHARED : MAP_PRIVATE;
  void *mapped = MAP_FAILED;
  // The processor maps a huge page of a file at once only at a multiple of its size.
  if (count >= HUGE_PAGE) mapped = map_aligned(descriptor, offset, count, protection, flags);
  if (mapped == MAP_FAILED) mapped = mmap(NULL, count, protection, flags, descriptor, offset);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}

int clinux_unmap(void *address, size_t count) { return result(munmap(address, count)); }

int clinux_lock(void *address, size_t count) { return (int)RETRY(mlock(address, count)); }

int64_t clinux_lock_limit(void) {
  struct rlimit limit;
  // RLIM_INFINITY is larger than any.
  if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0) return 0;
  return limit.rlim_cur > (rlim_t)INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

// With a constant length, memcpy of a short row is a few instructions, and no call.
#define COPY_ROWS(bytes)                                    \
  for (size_t i = 0; i < count; i++) {                      \
    memcpy(target + i * step, source + i * source_step, bytes); \
  }

void clinux_copy_rows(void *to, size_t step, const void *from, size_t source_step, size_t bytes,
                      size_t count) {
  char *restrict target = to;
  const char *restrict source = from;
  switch (bytes) {
    case 1: COPY_ROWS(1) break;
    case 2: COPY_ROWS(2) break;
    case 4: COPY_ROWS(4) break;
    case 8: COPY_ROWS(8) break;
    case 16: COPY_ROWS(16) break;
    case 32: COPY_ROWS(32) break;
    default: COPY_ROWS(bytes)
  }
}

#define REVERSE(bits)                                  \
  for (size_t i = 0; i < count; i++) {                 \
    uint##bits##_t value;                              \
    memcpy(&value, bytes + i * sizeof value, sizeof value); \
    value = __builtin_bswap##bits(value);              \
    memcpy(bytes + i * sizeof value, &value, sizeof value); \
  }

void clinux_reverse_bytes(void *elements, size_t width, size_t count) {
  unsigned char *bytes = elements;
  switch (width) {
    case 2: REVERSE(16) return;
    case 4: REVERSE(32) return;
    case 8: REVERSE(64) return;
  }
  for (size_t i = 0; i < count; i++, bytes += width) {
    for (size_t low = 0, high = width; low + 1 < high; low++) {
      unsigned char byte = bytes[low];
      bytes[low] = bytes[--high];
      bytes[high] = byte;
    }
  }
}

// A loop over the bits of numbers without branches, which becomes vector instructions.
#define EACH for (size_t i = 0; i < count; i++)

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float widened(uint16_t half) {
  // The exponent's bias differs by 112. Scaling a number makes a subnormal one normal, too.
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  uint32_t finite = bits_of(float_of(magnitude) * 0x1p112f);
  uint32_t bits = magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : finite;
  return float_of(bits | (uint32_t)(half & 0x8000) << 16);
}

static uint16_t narrowed(float value) {
  uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Adding a number whose last bit is that of a subnormal half rounds to it.
  uint32_t small = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  // 65520 and more round to infinity.
  uint32_t half = magnitude > 0x7f800000    ? 0x7e00
                  : magnitude >= 0x477ff000 ? 0x7c00
                  : magnitude < 0x38800000  ? small
                                            : normal;
  return (uint16_t)(half | (bits >> 16 & 0x8000));
}

static uint16_t shortened(float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 & 0x8000) | 0x7fc0 : rounded;
}

// The numbers that are converted at a time, on the stack.
enum { CAST_COUNT = 256 };

static void load_floats(float *to, const void *from, int format, size_t count) {
  uint16_t halves[CAST_COUNT];
  double doubles[CAST_COUNT];
  switch (format) {
    case CLINUX_FLOAT16:
      memcpy(halves, from, count * sizeof *halves);
      EACH to[i] = widened(halves[i]);
      break;
    case CLINUX_BFLOAT16:
      memcpy(halves, from, count * sizeof *halves);
      EACH to[i] = float_of((uint32_t)halves[i] << 16);
      break;
    case CLINUX_FLOAT64:
      memcpy(doubles, from, count * sizeof *doubles);
      EACH to[i] = (float)doubles[i];
      break;
    default: memcpy(to, from, count * sizeof *to);
  }
}

static void store_floats(void *to, int format, const float *from, size_t count) {
  uint16_t halves[CAST_COUNT];
  double doubles[CAST_COUNT];
  switch (format) {
    case CLINUX_FLOAT16:
      EACH halves[i] = narrowed(from[i]);
      memcpy(to, halves, count * sizeof *halves);
      break;
    case CLINUX_BFLOAT16:
      EACH halves[i] = shortened(from[i]);
      memcpy(to, halves, count * sizeof *halves);
      break;
    case CLINUX_FLOAT64:
      EACH doubles[i] = from[i];
      memcpy(to, doubles, count * sizeof *doubles);
      break;
    default: memcpy(to, from, count * sizeof *from);
  }
}

void clinux_cast(void *to, int to_format, const void *from, int from_format, int reversed,
                 size_t count) {
  static const size_t widths[] = {2, 2, 4, 8};
  size_t width = widths[from_format];
  unsigned char turned[CAST_COUNT * sizeof(double)];
  float floats[CAST_COUNT];
  for (size_t done = 0; done < count;) {
    size_t step = count - done < CAST_COUNT ? count - done : CAST_COUNT;
    const void *source = (const char *)from + done * width;
    if (reversed) {
      memcpy(turned, source, step * width);
      clinux_reverse_bytes(turned, width, step);
      source = turned;
    }
    load_floats(floats, source, from_format, step);
    store_floats((char *)to + done * widths[to_format], to_format, floats, step);
    done += step;
  }
}

void clinux_cast_rows(void *to, size_t step, int to_format, const void *from, size_t source_step,
                      int from_format, int reversed, size_t row_count, size_t count) {
  static const size_t widths[] = {2, 2, 4, 8};
  size_t row = row_count * widths[from_format], target_row = row_count * widths[to_format];
  unsigned char taken[CAST_COUNT * sizeof(double)], cast[CAST_COUNT * sizeof(double)];
  if (row_count > CAST_COUNT) {
    for (size_t i = 0; i < count; i++) {
      clinux_cast((char *)to + i * step, to_format, (const char *)from + i * source_step, from_format,
                  reversed, row_count);
    }
    return;
  }
  // Short rows are gathered, cast together, and spread again.
  size_t most = CAST_COUNT / row_count;
  for (size_t done = 0; done < count;) {
    size_t rows = count - done < most ? count - done : most;
    clinux_copy_rows(taken, row, (const char *)from + done * source_step, source_step, row, rows);
    clinux_cast(cast, to_format, taken, from_format, reversed, rows * row_count);
    clinux_copy_rows((char *)to + done * step, step, cast, target_row, target_row, rows);
    done += rows;
  }
}

void clinux_reverse_rows(void *to, size_t step, const void *from, size_t source_step, size_t bytes,
                         size_t width, size_t count) {
  unsigned char taken[4096];
  if (bytes > sizeof taken) {
    for (size_t i = 0; i < count; i++) {
      memcpy((char *)to + i * step, (const char *)from + i * source_step, bytes);
      clinux_reverse_bytes((char *)to + i * step, width, bytes / width);
    }
    return;
  }
  size_t most = sizeof taken / bytes;
  for (size_t done = 0; done < count;) {
    size_t rows = count - done < most ? count - done : most;
    clinux_copy_rows(taken, bytes, (const char *)from + done * source_step, source_step, bytes, rows);
    clinux_reverse_bytes(taken, width, rows * bytes / width);
    clinux_copy_rows((char *)to + done * step, step, taken, bytes, bytes, rows);
    done += rows;
  }
}

static int unix_address(const char *path, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  strcpy(address->sun_path, path);
  return 0;
}

static int closing(int descriptor) {
  int error = errno;
  close(descriptor);
  return -error;
}

int clinux_listen(const char *path, unsigned mode, int backlog) {
  struct sockaddr_un address;
  int failed = unix_address(path, &address);
  if (failed < 0) return failed;
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -errno;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) {
    if (errno != EADDRINUSE) return closing(listener);
    // Somebody's socket is there: take its place only if nobody listens any more.
    int probe = clinux_connect(path, -1);
    if (probe >= 0) close(probe);
    struct stat there;
    // A file that is no socket refuses connections as well, and must not be lost.
    if (lstat(path, &there) < 0 || !S_ISSOCK(there.st_mode)) {
      close(listener);
      return -EEXIST;
    }
    if (probe != -ECONNREFUSED || unlink(path) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0) {
      close(listener);
      return -EADDRINUSE;
    }
  }
  if (chmod(path, mode) < 0 || listen(listener, backlog) < 0) return closing(listener);
  return listener;
}

int clinux_set_nonblocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0) return -errno;
  return result(fcntl(descriptor, F_SETFL, flags | O_NONBLOCK));
}

int clinux_accept(int listener) {
  return (int)RETRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

int clinux_connect(const char *path, int timeout_ms) {
  struct sockaddr_un address;
  int failed = unix_address(path, &address);
  if (failed < 0) return failed;
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return -errno;
  /* A listener's queue may be full: then connecting waits for room as long as sending would. */
  if (timeout_ms >= 0) {
    int most = timeout_ms > 0 ? timeout_ms : 1;
    struct timeval limit = {.tv_sec = most / 1000, .tv_usec = most % 1000 * 1000};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  if (RETRY(connect(connection, (struct sockaddr *)&address, sizeof address)) < 0)
    return closing(connection);
  if (timeout_ms >= 0) {
    struct timeval none = {0};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  }
  return connection;
}

int clinux_is_terminal(int descriptor) { return isatty(descriptor); }

int clinux_socket_pair(int *left, int *right) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
  *left = pair[0];
  *right = pair[1];
  return 0;
}

static int socket_option(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, option, &value, &size) < 0) return -errno;
  return value;
}

int clinux_is_listening_unix_stream(int descriptor) {
  return socket_option(descriptor, SO_DOMAIN) == AF_UNIX &&
         socket_option(descriptor, SO_TYPE) == SOCK_STREAM &&
         socket_option(descriptor, SO_ACCEPTCONN) == 1;
}

int clinux_peer(int socket, uint32_t *uid, uint32_t *gid, int32_t *pid) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -errno;
  *uid = credentials.uid;
  *gid = credentials.gid;
  *pid = credentials.pid;
  return 0;
}

int64_t clinux_user_id(const char *name) {
  struct passwd *found = getpwnam(name);
  return found ? (int64_t)found->pw_uid : -1;
}

// The length of the name, which is cut if it does not fit; -ENOENT for an unknown id.
static int copy_name(int failed, const void *found, const char *name, char *copy, size_t count) {
  if (failed) return -failed;
  if (!found || count == 0) return -ENOENT;
  snprintf(copy, count, "%s", name);
  return (int)strlen(copy);
}

int clinux_user_name(uint32_t id, char *name, size_t count) {
  char room[4096];
  struct passwd entry, *found = NULL;
  int failed = getpwuid_r(id, &entry, room, sizeof room, &found);
  return copy_name(failed, found, entry.pw_name, name, count);
}

int64_t clinux_group_id(const char *name) {
  struct group *found = getgrnam(name);
  return found ? (int64_t)found->gr_gid : -1;
}

int clinux_group_name(uint32_t id, char *name, size_t count) {
  // A group's entry lists all its members.
  char room[65536];
  struct group entry, *found = NULL;
  int failed = getgrgid_r(id, &entry, room, sizeof room, &found);
  return copy_name(failed, found, entry.gr_name, name, count);
}

// The number of groups, which may exceed the count; then none is written.
ssize_t clinux_peer_groups(int socket, uint32_t *groups, size_t count) {
  socklen_t size = count * sizeof *groups;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0 && errno != ERANGE)
    return -errno;
  return size / sizeof *groups;
}

int clinux_unread(int socket) {
  int count = 0;
  return ioctl(socket, SIOCOUTQ, &count) < 0 ? -errno : count;
}

int clinux_datagram_socket(void) {
  int number = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return number < 0 ? -errno : number;
}

ssize_t clinux_send_datagram(int socket, const char *path, const void *bytes, size_t count) {
  struct sockaddr_un address;
  int failed = unix_address(path, &address);
  if (failed < 0) return failed;
  return RETRY(sendto(socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT,
                      (struct sockaddr *)&address, sizeof address));
}

int clinux_shutdown(int socket, int reading, int writing) {
  return result(shutdown(socket, reading && writing ? SHUT_RDWR : reading ? SHUT_RD : SHUT_WR));
}

ssize_t clinux_send(int socket, const void *bytes, size_t count, const int *descriptors,
                    size_t descriptor_count, int wait) {
  if (descriptor_count > CLINUX_MESSAGE_DESCRIPTORS) return -EINVAL;
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * CLINUX_MESSAGE_DESCRIPTORS)];
  } control;
  struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (descriptor_count > 0) {
    size_t size = sizeof(int) * descriptor_count;
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), descriptors, size);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(size);
  }
  return RETRY(sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)));
}

ssize_t clinux_receive(int socket, void *bytes, size_t count, int *descriptors,
                       size_t *descriptor_count, int wait) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * CLINUX_MESSAGE_DESCRIPTORS)];
  } control;
  struct iovec vector = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  *descriptor_count = 0;
  ssize_t received = RETRY(recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT)));
  if (received < 0) return received;
  size_t found = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(descriptors + found, CMSG_DATA(header), here * sizeof(int));
    found += here;
  }
  // A limit or a security module dropped some: which ones is unknowable, so none is used.
  if (message.msg_flags & MSG_CTRUNC) {
    for (size_t i = 0; i < found; i++) close(descriptors[i]);
    return -EMFILE;
  }
  *descriptor_count = found;
  return received;
}

int clinux_poll(struct clinux_poll *entries, size_t count, int timeout_ms) {
  struct pollfd few[16];
  struct pollfd *all = count <= 16 ? few : calloc(count, sizeof *all);
  if (all == NULL) return -ENOMEM;
  for (size_t i = 0; i < count; i++) {
    all[i].fd = entries[i].descriptor;
    all[i].events = (short)((entries[i].wanted & CLINUX_POLL_READABLE ? POLLIN : 0) |
                            (entries[i].wanted & CLINUX_POLL_WRITABLE ? POLLOUT : 0) |
                            (entries[i].wanted & CLINUX_POLL_HANGUP ? POLLRDHUP : 0));
    all[i].revents = 0;
  }
  int ready = result(poll(all, count, timeout_ms));
  for (size_t i = 0; i < count; i++) {
    short seen = all[i].revents;
    entries[i].seen = (int16_t)((seen & POLLIN ? CLINUX_POLL_READABLE : 0) |
                                (seen & POLLOUT ? CLINUX_POLL_WRITABLE : 0) |
                                (seen & (POLLRDHUP | POLLHUP | POLLERR) ? CLINUX_POLL_HANGUP : 0));
  }
  if (all != few) free(all);
  return ready == -EINTR ? 0 : ready;
}

int clinux_event(void) { return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int clinux_signals(const int *signals, size_t count) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int failed = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (failed != 0) return -failed;
  return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int clinux_next_signal(int descriptor) {
  struct signalfd_siginfo information;
  ssize_t count = RETRY(read(descriptor, &information, sizeof information));
  return count < 0 ? (int)count : (int)information.ssi_signo;
}

static char removed_path[PATH_MAX];
static volatile sig_atomic_t has_removed_path;

static void remove_and_end(int signal) {
  if (has_removed_path) unlink(removed_path);
  // Blocked until this returns; then it does what it would have done without us.
  raise(signal);
}

int clinux_remove_when_ended(const char *path) {
  has_removed_path = 0;
  if (path == NULL) return 0;
  if (strlen(path) >= sizeof removed_path) return -ENAMETOOLONG;
  strcpy(removed_path, path);
  atomic_signal_fence(memory_order_seq_cst);
  has_removed_path = 1;
  static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction action;
    // A signal that the starter had us ignore, as nohup(1) does, stays ignored.
    if (sigaction(signals[i], NULL, &action) < 0) return -errno;
    if (action.sa_handler == SIG_IGN) continue;
    action = (struct sigaction){.sa_handler = remove_and_end, .sa_flags = (int)SA_RESETHAND};
    if (sigaction(signals[i], &action, NULL) < 0) return -errno;
  }
  return 0;
}

int clinux_ignore(int number) { return signal(number, SIG_IGN) == SIG_ERR ? -errno : 0; }

int64_t clinux_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return nanoseconds(now);
}

int64_t clinux_real_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

void clinux_sleep(int64_t count) {
  struct timespec span = {.tv_sec = count / 1000000000, .tv_nsec = count % 1000000000};
  while (nanosleep(&span, &span) < 0 && errno == EINTR) continue;
}

int64_t clinux_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  limit.rlim_cur = limit.rlim_max;
  // Refused under some sandboxes; what is in force is what is returned.
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  return limit.rlim_cur > (rlim_t)INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

int64_t clinux_resident_bytes(void) {
  char text[128];
  int descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return -errno;
  ssize_t count = RETRY(read(descriptor, text, sizeof text - 1));
  close(descriptor);
  if (count < 0) return count;
  text[count] = 0;
  long long total, resident;
  if (sscanf(text, "%lld %lld", &total, &resident) != 2) return -EINVAL;
  return resident * sysconf(_SC_PAGESIZE);
}

int clinux_drop_cached(int descriptor, int64_t offset, int64_t count) {
  return -posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED);
}

int clinux_is_cached(int descriptor, int64_t offset) {
  char byte;
  struct iovec vector = {&byte, 1};
  ssize_t count = RETRY(preadv2(descriptor, &vector, 1, offset, RWF_NOWAIT));
  if (count == -EAGAIN) return 0;
  // Nothing is cached of what lies behind the end.
  return count < 0 ? (int)count : count > 0;
}

int clinux_populate(int descriptor, int64_t offset, size_t count) {
  void *address;
  int failed = clinux_map(descriptor, offset, count, 0, 1, &address);
  if (failed < 0) return failed;
  // Kernels without huge pages of files refuse this, and still read.
  (void)madvise(address, count, MADV_HUGEPAGE);
  // Not touched: a file that somebody truncates is EFAULT here, and SIGBUS there.
  int populated = (int)RETRY(madvise(address, count, MADV_POPULATE_READ));
  munmap(address, count);
  return populated;
}

// Only glibc keeps what was freed.

void clinux_keep_freed(int bytes) {
#ifdef __GLIBC__
  // Both, or glibc raises them as it sees fit: up to 64 MiB for each of many threads.
  mallopt(M_MMAP_THRESHOLD, bytes);
  mallopt(M_TRIM_THRESHOLD, bytes);
  // One heap: of other threads' heaps the end is never trimmed, however long they idle.
  mallopt(M_ARENA_MAX, 1);
#else
  (void)bytes;
#endif
}

void clinux_trim(void) {
  // Pages between live blocks too.
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

int64_t clinux_physical_bytes(void) {
  return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

int64_t clinux_free_bytes(void) {
  struct sysinfo information;
  if (sysinfo(&information) < 0) return 0;
  uint64_t units = (uint64_t)information.freeram + information.bufferram;
  uint64_t bytes;
  if (__builtin_mul_overflow(units, (uint64_t)information.mem_unit, &bytes)) return INT64_MAX;
  return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int64_t clinux_memory_limit(void) {
  static const int limits[] = {RLIMIT_AS, RLIMIT_DATA};
  int64_t smallest = INT64_MAX;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    struct rlimit limit;
    // RLIM_INFINITY is larger than any.
    if (getrlimit(limits[i], &limit) < 0 || limit.rlim_cur >= (rlim_t)smallest) continue;
    smallest = (int64_t)limit.rlim_cur;
  }
  return smallest;
}

int64_t clinux_processors(void) { return sysconf(_SC_NPROCESSORS_ONLN); }

int clinux_kernel_is_at_least(int version, int patch_level) {
  struct utsname name;
  int found, level;
  if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &found, &level) != 2) return 0;
  return found > version || (found == version && level >= patch_level);
}

int32_t clinux_process_id(void) { return getpid(); }

int clinux_equal(const void *left, const void *right, size_t count) {
  return count == 0 || memcmp(left, right, count) == 0;
}

const char *clinux_environment(const char *name) { return getenv(name); }

int clinux_working_directory(char *path, size_t size) {
  return getcwd(path, size) == NULL ? -errno : 0;
}

int clinux_thread(size_t stack_bytes, void *(*body)(void *), void *argument) {
  pthread_attr_t attributes;
  pthread_t thread;
  int failed = pthread_attr_init(&attributes);
  if (failed != 0) return -failed;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  failed = pthread_create(&thread, &attributes, body, argument);
  pthread_attr_destroy(&attributes);
  return -failed;
}

void clinux_exit_now(int status) { _exit(status); }

void clinux_monitor_begin(struct clinux_monitor *monitor) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&monitor->mutex, NULL);
  pthread_cond_init(&monitor->condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

void clinux_monitor_end(struct clinux_monitor *monitor) {
  pthread_cond_destroy(&monitor->condition);
  pthread_mutex_destroy(&monitor->mutex);
}

void clinux_monitor_lock(struct clinux_monitor *monitor) {
  if (pthread_mutex_lock(&monitor->mutex) != 0) abort();
}

void clinux_monitor_unlock(struct clinux_monitor *monitor) {
  if (pthread_mutex_unlock(&monitor->mutex) != 0) abort();
}

void clinux_monitor_notify(struct clinux_monitor *monitor) {
  pthread_cond_broadcast(&monitor->condition);
}

void clinux_monitor_notify_one(struct clinux_monitor *monitor) {
  pthread_cond_signal(&monitor->condition);
}

int clinux_monitor_wait(struct clinux_monitor *monitor, int64_t deadline_ns) {
  if (deadline_ns < 0) return -pthread_cond_wait(&monitor->condition, &monitor->mutex);
  struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                              .tv_nsec = deadline_ns % 1000000000};
  return -pthread_cond_timedwait(&monitor->condition, &monitor->mutex, &deadline);
}
