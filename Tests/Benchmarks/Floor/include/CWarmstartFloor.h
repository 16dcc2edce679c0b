// The least work of the kinds that Warmstart does, in C.
//
// A function that returns int64_t returns nanoseconds, or -errno.
#ifndef CFLOOR_H
#define CFLOOR_H

#include <stddef.h>
#include <stdint.h>

// Starts a server in a process of its own, which ends with the caller or by floor_stop. It answers
// each request of `request` bytes with `answer` bytes, and with the descriptor `file` unless that
// is negative. Returns the process's id.
int floor_serve(const char *path, size_t request, size_t answer, int file);
void floor_stop(int process);

int floor_connect(const char *path);
void floor_close(int connection);

// Sends a request and receives its answer on a live connection.
int64_t floor_ask(int connection, size_t request, size_t answer);
// Connects, sends a request, receives an answer with a descriptor, maps and touches a page, closes.
int64_t floor_connect_and_map(const char *path, size_t request, size_t answer);
// Copies `bytes` once between buffers that were touched before; computes their CRC-32C (libisal).
int64_t floor_copy(size_t bytes);
int64_t floor_checksum(size_t bytes);

// Reads a file, so that the page cache has it.
int64_t floor_read(const char *path);
// Touches each page.
void floor_touch(const void *start, size_t bytes);
// Fills a new memfd of huge pages from a file, computes the checksum on the way, and seals it;
// `touch` receives the nanoseconds of the first touch of all its pages through another mapping.
int64_t floor_fill(const char *path, int64_t *touch);
// Copies `bytes` from memory that was touched before to a new memfd of small pages.
int64_t floor_copy_shared(size_t bytes);

// Starts a process that executes `daemon` when a client connects to `path`. Returns its id, for
// floor_stop.
int floor_activate(const char *path, const char *activator, const char *daemon);
// Connects, sends a request, and receives an answer whose length is that of a gRPC frame.
int64_t floor_first_answer(const char *path, const char *request, size_t count);

int64_t floor_now(void);

#endif
