// The test program on a host: jobs from the standard input, results to the standard output.
#include "bench.h"
#include <stdio.h>

int bench_read(void *bytes, size_t size) { return fread(bytes, 1, size, stdin) == size; }
void bench_write(const void *bytes, size_t size) { (void)!fwrite(bytes, 1, size, stdout); }
void bench_begin(void) {}
void bench_end(void) {}
uint64_t bench_instructions(void) { return 0; }
uint32_t bench_stack(void) { return 0; }

int main(void) {
  bench();
  return fflush(stdout) != 0;
}
