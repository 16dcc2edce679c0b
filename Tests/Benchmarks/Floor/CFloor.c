#define _GNU_SOURCE
#include "CWarmstartFloor.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t floor_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int read_all(int socket, char *bytes, size_t count, int *file) {
  char control[CMSG_SPACE(sizeof(int))];
  size_t done = 0;
  while (done < count) {
    struct iovec vector = {bytes + done, count - done};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? -EPIPE : -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && file != NULL) memcpy(file, CMSG_DATA(header), sizeof *file);
    done += (size_t)got;
  }
  return 0;
}

static int write_all(int socket, const char *bytes, size_t count, int file) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  size_t done = 0;
  while (done < count) {
    struct iovec vector = {(char *)bytes + done, count - done};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (done == 0 && file >= 0) {
      control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof file),
                                        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
      memcpy(CMSG_DATA(&control.header), &file, sizeof file);
      message.msg_control = &control;
      message.msg_controllen = sizeof control;
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return -errno;
    done += (size_t)sent;
  }
  return 0;
}

static int address_of(const char *path, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  strcpy(address->sun_path, path);
  return 0;
}

static int listen_at(const char *path) {
  struct sockaddr_un address;
  int failed = address_of(path, &address);
  if (failed < 0) return failed;
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen(listener, 64) < 0)
    return -errno;
  return listener;
}

int floor_serve(const char *path, size_t request, size_t answer, int file) {
  int listener = listen_at(path);
  if (listener < 0) return listener;
  pid_t process = fork();
  if (process != 0) {
    close(listener);
    return process < 0 ? -errno : process;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char *bytes = calloc(1, request + answer + 1);
  for (;;) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    while (read_all(connection, bytes, request, NULL) == 0 &&
           write_all(connection, bytes, answer, file) == 0) {
    }
    close(connection);
  }
}

void floor_stop(int process) {
  kill(process, SIGKILL);
  waitpid(process, NULL, 0);
}

int floor_connect(const char *path) {
  struct sockaddr_un address;
  int failed = address_of(path, &address);
  if (failed < 0) return failed;
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return -errno;
  if (connect(connection, (struct sockaddr *)&address, sizeof address) < 0) {
    failed = -errno;
    close(connection);
    return failed;
  }
  return connection;
}

void floor_close(int connection) { close(connection); }

int64_t floor_ask(int connection, size_t request, size_t answer) {
  static char bytes[32 << 20];
  if (request > sizeof bytes || answer > sizeof bytes) return -EINVAL;
  memset(bytes, 1, request);
  int64_t start = floor_now();
  int failed = write_all(connection, bytes, request, -1);
  if (failed == 0) failed = read_all(connection, bytes, answer, NULL);
  return failed < 0 ? failed : floor_now() - start;
}

int64_t floor_connect_and_map(const char *path, size_t request, size_t answer) {
  static char bytes[64 << 10];
  if (request > sizeof bytes || answer > sizeof bytes) return -EINVAL;
  int64_t start = floor_now();
  int connection = floor_connect(path);
  if (connection < 0) return connection;
  int file = -1;
  int failed = write_all(connection, bytes, request, -1);
  if (failed == 0) failed = read_all(connection, bytes, answer, &file);
  if (failed == 0 && file < 0) failed = -EBADF;
  if (failed == 0) {
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) return -errno;
    (void)page[0];
    munmap((void *)page, 4096);
  }
  if (file >= 0) close(file);
  close(connection);
  return failed < 0 ? failed : floor_now() - start;
}

int floor_activate(const char *path, const char *activator, const char *daemon) {
  unlink(path);
  int listener = listen_at(path), ready[2];
  if (listener < 0) return listener;
  if (pipe2(ready, O_CLOEXEC) < 0) return -errno;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Numbers from 10 on, which do not collide with 3 and 4.
  int numbers[] = {fcntl(listener, F_DUPFD_CLOEXEC, 10), fcntl(ready[1], F_DUPFD_CLOEXEC, 10)};
  posix_spawn_file_actions_adddup2(&actions, numbers[0], 3);
  posix_spawn_file_actions_adddup2(&actions, numbers[1], 4);
  char *arguments[] = {(char *)activator, (char *)daemon, NULL};
  pid_t process;
  int failed = posix_spawn(&process, activator, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  int mine[] = {listener, ready[1], numbers[0], numbers[1]};
  for (int i = 0; i < 4; i++) close(mine[i]);
  char byte;
  if (failed == 0 && read(ready[0], &byte, 1) != 1) failed = EPIPE;
  close(ready[0]);
  return failed != 0 ? -failed : process;
}

int64_t floor_first_answer(const char *path, const char *request, size_t count) {
  unsigned char answer[4096];
  int64_t start = floor_now();
  int connection = floor_connect(path);
  if (connection < 0) return connection;
  int failed = write_all(connection, request, count, -1);
  if (failed == 0) failed = read_all(connection, (char *)answer, 5, NULL);
  size_t length = (size_t)answer[3] << 8 | answer[4];
  if (failed == 0 && length > sizeof answer) failed = -EMSGSIZE;
  if (failed == 0) failed = read_all(connection, (char *)answer, length, NULL);
  int64_t took = floor_now() - start;
  close(connection);
  return failed < 0 ? failed : took;
}

static char *buffer_of(size_t bytes) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  memset(memory, 1, bytes);
  return memory;
}

int64_t floor_copy(size_t bytes) {
  char *from = buffer_of(bytes), *to = buffer_of(bytes);
  int64_t start = floor_now();
  memcpy(to, from, bytes);
  int64_t took = floor_now() - start;
  munmap(from, bytes);
  munmap(to, bytes);
  return took;
}

int64_t floor_checksum(size_t bytes) {
  unsigned char *from = (unsigned char *)buffer_of(bytes);
  int64_t start = floor_now();
  volatile unsigned crc = crc32_iscsi(from, (int)bytes, 0);
  int64_t took = floor_now() - start;
  (void)crc;
  munmap(from, bytes);
  return took;
}

#define HUGE_PAGE ((size_t)2 << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

// Maps a file at a multiple of the size of a huge page.
static char *map_aligned(int file, size_t bytes, int protection) {
  char *room = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
  if (room == MAP_FAILED) abort();
  char *start = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
  if (mmap(start, bytes, protection, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) abort();
  return start;
}

int64_t floor_read(const char *path) {
  static char buffer[256 << 10];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  ssize_t got;
  while ((got = read(file, buffer, sizeof buffer)) > 0) continue;
  close(file);
  return got;
}

void floor_touch(const void *start, size_t bytes) {
  const volatile char *pages = start;
  for (size_t at = 0; at < bytes; at += 4096) (void)pages[at];
}

int64_t floor_fill(const char *path, int64_t *touch) {
  const size_t group = 32 * HUGE_PAGE, step = 256 << 10;
  int64_t start = floor_now();
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -errno;
  size_t bytes = (size_t)lseek(file, 0, SEEK_END) & ~(HUGE_PAGE - 1);
  int arena = memfd_create("floor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (arena < 0 || ftruncate(arena, (off_t)bytes) < 0) return -errno;
  char *memory = map_aligned(arena, bytes, PROT_READ | PROT_WRITE);
  unsigned crc = ~0u;
  for (size_t at = 0; at < bytes; at += step) {
    if (at % group == 0) {
      size_t count = bytes - at < group ? bytes - at : group;
      for (size_t page = 0; page < count; page += HUGE_PAGE) memory[at + page] = 0;
      madvise(memory + at, count, MADV_COLLAPSE);
    }
    if (pread(file, memory + at, step, (off_t)at) != (ssize_t)step) return -EIO;
    crc = crc32_iscsi((unsigned char *)memory + at, (int)step, crc);
  }
  munmap(memory, bytes);
  fcntl(arena, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
  int64_t took = floor_now() - start;
  memory = map_aligned(arena, bytes, PROT_READ);
  start = floor_now();
  floor_touch(memory, bytes);
  *touch = floor_now() - start;
  munmap(memory, bytes);
  close(arena);
  close(file);
  return took + (crc == 1);
}

int64_t floor_copy_shared(size_t bytes) {
  char *from = buffer_of(bytes);
  int64_t start = floor_now();
  int arena = memfd_create("floor", MFD_CLOEXEC);
  if (arena < 0 || ftruncate(arena, (off_t)bytes) < 0) return -errno;
  char *to = map_aligned(arena, bytes, PROT_READ | PROT_WRITE);
  memcpy(to, from, bytes);
  int64_t took = floor_now() - start;
  munmap(to, bytes);
  munmap(from, bytes);
  close(arena);
  return took;
}
