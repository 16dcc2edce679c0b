// The least that the kernel makes one pay for what Warmstart does, in C.
//
// Every function returns nanoseconds, or -errno.
#ifndef CFLOOR_H
#define CFLOOR_H

#include <stddef.h>
#include <stdint.h>

// A server in a process of its own, which ends when the caller closes its end or dies. Each
// connection sends a request and gets an answer of the sizes asked for, with the descriptor of
// `file` on it if that is not negative.
int floor_serve(const char *path, size_t request, size_t answer, int file);
void floor_stop(int process);

int floor_connect(const char *path);
void floor_close(int connection);

// One request and its answer on a live connection.
int64_t floor_ask(int connection, size_t request, size_t answer);
// connect, request, answer with descriptor, map one page of it, touch, unmap, close.
int64_t floor_connect_and_map(const char *path, size_t request, size_t answer);
// Copies `bytes` once from warm to warm memory; the same summed by CRC-32C (libisal).
int64_t floor_copy(size_t bytes);
int64_t floor_checksum(size_t bytes);

// A program in a process of its own, which is about to become a daemon with a listening socket at
// `path` when somebody connects. Returns its id, for floor_stop.
int floor_activate(const char *path, const char *activator, const char *daemon);
// connect, request, and an answer that says its length as gRPC's frames do.
int64_t floor_first_answer(const char *path, const char *request, size_t count);

int64_t floor_now(void);

#endif
