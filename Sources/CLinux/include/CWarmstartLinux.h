// What Linux offers and Swift cannot import by itself: variadic calls, macros, _GNU_SOURCE.
//
// Every function returns its result, or -errno. None keeps a pointer.
#ifndef CLINUX_H
#define CLINUX_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The most descriptors that one message carries (SCM_MAX_FD).
#define CLINUX_MESSAGE_DESCRIPTORS 253

struct clinux_status {
  uint64_t device;
  uint64_t inode;
  int64_t size;
  int64_t modified_ns;
  int64_t changed_ns;
  uint64_t links;
  uint32_t mode;
  uint32_t owner;
  uint32_t block_bytes;  // st_blksize
  int64_t allocated;     // bytes on disk
};

struct clinux_poll {
  int descriptor;
  int16_t wanted;
  int16_t seen;
};

enum {
  CLINUX_POLL_READABLE = 1,
  CLINUX_POLL_WRITABLE = 2,
  CLINUX_POLL_HANGUP = 4,
};

int clinux_close(int descriptor);
int clinux_duplicate(int descriptor);
int clinux_open(const char *path);
int clinux_create(const char *path, unsigned mode);
int clinux_create_new(const char *path, unsigned mode);
int clinux_make_directory(const char *path, unsigned mode);
int clinux_remove(const char *path);
int clinux_rename(const char *from, const char *to);
int clinux_reopen(int descriptor);
int clinux_is_directory(const char *path);
int clinux_may_write(const char *path);
int clinux_status(int descriptor, struct clinux_status *status);
int clinux_known_status(int descriptor, struct clinux_status *status);
int64_t clinux_file_system(int descriptor);
ssize_t clinux_path(int descriptor, void *bytes, size_t count);
int clinux_is_read_only(int descriptor);
ssize_t clinux_read(int descriptor, void *bytes, size_t count);
ssize_t clinux_pread(int descriptor, void *bytes, size_t count, int64_t offset);
ssize_t clinux_write(int descriptor, const void *bytes, size_t count);

int clinux_directory_open(const char *path, void **directory);
// The next name, which lives until the next call; NULL at the end. `.` and `..` are left out.
int clinux_directory_next(void *directory, const char **name);
void clinux_directory_close(void *directory);

int clinux_memfd(const char *name);
int clinux_resize(int descriptor, int64_t count);
int clinux_reserve(int descriptor, int64_t offset, int64_t count);
// Makes huge pages of an empty range of a memfd that is mapped at `base`; offset and count are
// multiples of 2 MiB.
int clinux_collapse(int descriptor, void *base, int64_t offset, size_t count);
int clinux_seal(int descriptor);
int clinux_is_held_elsewhere(int descriptor);
int clinux_watches(void);
int clinux_watch_end(int watches, int descriptor);
ssize_t clinux_ended(int watches, int *ended, size_t count);
int clinux_unread(int socket);
int clinux_is_sealed(int descriptor);
// Whether it is a memfd that this user made and sealed as `clinux_memfd` and `clinux_seal` do.
int clinux_is_own_arena(int descriptor);

int clinux_map(int descriptor, int64_t offset, size_t count, int writable, int shared,
               void **address);
void clinux_copy_rows(void *to, size_t step, const void *from, size_t source_step, size_t bytes,
                      size_t count);
// Reverses the bytes of each of `count` elements of `width` bytes.
void clinux_reverse_bytes(void *elements, size_t width, size_t count);

// Formats of floating-point numbers.
enum {
  CLINUX_FLOAT16,
  CLINUX_BFLOAT16,
  CLINUX_FLOAT32,
  CLINUX_FLOAT64,
};
// Converts numbers, rounded to nearest, ties to even; from 64 bits to 16 by way of 32. Neither
// place need be aligned. `reversed` says that the bytes of each number of the source are in
// reverse.
void clinux_cast(void *to, int to_format, const void *from, int from_format, int reversed,
                 size_t count);
// Converts `count` rows of `row_count` numbers each; row_count is not 0.
void clinux_cast_rows(void *to, size_t step, int to_format, const void *from, size_t source_step,
                      int from_format, int reversed, size_t row_count, size_t count);
// Copies `count` rows of `bytes` each, and reverses the bytes of each `width`; bytes is not 0.
void clinux_reverse_rows(void *to, size_t step, const void *from, size_t source_step, size_t bytes,
                         size_t width, size_t count);
int clinux_unmap(void *address, size_t count);
// Reads all pages, and keeps them in memory until they are unmapped or the file ends before them.
int clinux_lock(void *address, size_t count);
// RLIMIT_MEMLOCK; INT64_MAX for none.
int64_t clinux_lock_limit(void);

int clinux_listen(const char *path, unsigned mode, int backlog);
int clinux_accept(int listener);
int clinux_set_nonblocking(int descriptor);
/* Waits at most timeout_ms for room in the listener's queue, or without limit if negative; -EAGAIN. */
int clinux_connect(const char *path, int timeout_ms);
/* 1 if the descriptor is a terminal. */
int clinux_is_terminal(int descriptor);
int clinux_socket_pair(int *left, int *right);
int clinux_is_listening_unix_stream(int descriptor);
// The id that the system has for a name; -1 if it has none.
int64_t clinux_user_id(const char *name);
int64_t clinux_group_id(const char *name);
// Copies the name of a user and returns its length; -ENOENT for an unknown one.
int clinux_user_name(uint32_t id, char *name, size_t count);
int clinux_group_name(uint32_t id, char *name, size_t count);

ssize_t clinux_peer_groups(int socket, uint32_t *groups, size_t count);
int clinux_peer(int socket, uint32_t *uid, uint32_t *gid, int32_t *pid);
int clinux_datagram_socket(void);
// Sends a datagram to the socket at a path, and does not wait for room there.
ssize_t clinux_send_datagram(int socket, const char *path, const void *bytes, size_t count);
int clinux_shutdown(int socket, int reading, int writing);
ssize_t clinux_send(int socket, const void *bytes, size_t count, const int *descriptors,
                    size_t descriptor_count, int wait);
// `descriptors` has room for CLINUX_MESSAGE_DESCRIPTORS; -EMFILE if the kernel dropped any, after
// closing the rest.
ssize_t clinux_receive(int socket, void *bytes, size_t count, int *descriptors,
                       size_t *descriptor_count, int wait);
int clinux_poll(struct clinux_poll *entries, size_t count, int timeout_ms);

int clinux_event(void);
int clinux_signals(const int *signals, size_t count);
int clinux_next_signal(int descriptor);
int clinux_ignore(int signal);
int clinux_remove_when_ended(const char *path);
int64_t clinux_now_ns(void);
int64_t clinux_real_now_ns(void);
void clinux_sleep(int64_t nanoseconds);
int64_t clinux_raise_descriptor_limit(void);
int64_t clinux_resident_bytes(void);
int64_t clinux_physical_bytes(void);
int64_t clinux_processors(void);
int clinux_kernel_is_at_least(int version, int patch_level);
// Without what is cached of files, which nothing but /proc says; 0 if the system does not tell.
int64_t clinux_free_bytes(void);
// The smaller of RLIMIT_AS and RLIMIT_DATA; INT64_MAX for none.
int64_t clinux_memory_limit(void);
int clinux_drop_cached(int descriptor, int64_t offset, int64_t count);
// 1 if the page cache has the byte at an offset, 0 if not; -EOPNOTSUPP if the file system cannot
// tell.
int clinux_is_cached(int descriptor, int64_t offset);
// Reads a run into the page cache, in huge pages if the file system has them. The offset must be a
// multiple of a page; -EFAULT if the file ends before the run's last page.
int clinux_populate(int descriptor, int64_t offset, size_t count);
void clinux_keep_freed(int bytes);
void clinux_trim(void);
int32_t clinux_process_id(void);
int clinux_equal(const void *left, const void *right, size_t count);
const char *clinux_environment(const char *name);
int clinux_working_directory(char *path, size_t size);

int clinux_thread(size_t stack_bytes, void *(*body)(void *), void *argument);
_Noreturn void clinux_exit_now(int status);

struct clinux_atomic {
  int64_t value;
};

static inline int64_t clinux_atomic_load(const struct clinux_atomic *number) {
  return __atomic_load_n(&number->value, __ATOMIC_SEQ_CST);
}

static inline void clinux_atomic_add(struct clinux_atomic *number, int64_t amount) {
  (void)__atomic_fetch_add(&number->value, amount, __ATOMIC_SEQ_CST);
}

static inline int64_t clinux_atomic_exchange(struct clinux_atomic *number, int64_t value) {
  return __atomic_exchange_n(&number->value, value, __ATOMIC_SEQ_CST);
}

struct clinux_monitor {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
};

void clinux_monitor_begin(struct clinux_monitor *monitor);
void clinux_monitor_end(struct clinux_monitor *monitor);
void clinux_monitor_lock(struct clinux_monitor *monitor);
void clinux_monitor_unlock(struct clinux_monitor *monitor);
void clinux_monitor_notify(struct clinux_monitor *monitor);
void clinux_monitor_notify_one(struct clinux_monitor *monitor);
// Waits at most until the deadline on the monotonic clock; a negative deadline waits for ever.
// Returns 0 when notified and -ETIMEDOUT at the deadline.
int clinux_monitor_wait(struct clinux_monitor *monitor, int64_t deadline_ns);

#endif
