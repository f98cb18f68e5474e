// What the test program of a C99 project needs of the machine that it runs on.
#ifndef PCEDGE_BENCH_H
#define PCEDGE_BENCH_H

#include <stddef.h>
#include <stdint.h>

// Read exactly so many bytes of the jobs; tell whether they were there.
int bench_read(void *bytes, size_t size);
// Write bytes of the results.
void bench_write(const void *bytes, size_t size);
// Begin and end a call that is measured.
void bench_begin(void);
void bench_end(void);
// Instructions of all measured calls since this was last asked, and the most bytes of stack of one;
// 0 where the machine cannot tell.
uint64_t bench_instructions(void);
uint32_t bench_stack(void);

// Do all jobs.
void bench(void);

#endif
