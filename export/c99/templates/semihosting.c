// The test program without a host: on a Cortex-M or RISC-V that QEMU emulates, by semihosting. Jobs
// come from in.bin, results go to out.bin.
#include "bench.h"

extern uint32_t bss_begin[], bss_end[], stack_low[], stack_top[];

int main(void);
void reset(void);

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { MODE_RB = 1, MODE_WB = 5 };
#define EXIT_FINE 0x20026u

static uintptr_t input, output;
static uint64_t instructions;
static uint32_t deepest;
static uint32_t *painted;

#define PAINT 0xC5C5C5C5u
// Bytes below the stack of the caller that are looked at.
#define MOST_STACK 2048u

#ifdef __riscv

__asm__(".section .vectors, \"ax\"\n.global _start\n_start: la sp, stack_top\n j reset\n.text");

static uintptr_t host(uintptr_t job, const void *words) {
  register uintptr_t a0 __asm__("a0") = job;
  register const void *a1 __asm__("a1") = words;
  __asm__ volatile(".option push\n.option norvc\n.balign 16\nslli x0, x0, 0x1f\nebreak\n"
                   "srai x0, x0, 7\n.option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
  return a0;
}

// QEMU counts an instruction a nanosecond with -icount shift=0, and this counter is its own.
static uint32_t clock_now(void) {
  uint32_t now;
  __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop"
                   : "=r"(now));
  return now;
}
static void clock_start(void) {}
static uint32_t clock_between(uint32_t begin, uint32_t end) { return end - begin; }
static uint32_t *stack_now(void) {
  uint32_t *sp;
  __asm__ volatile("mv %0, sp" : "=r"(sp));
  return sp;
}

#else

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {
    (uintptr_t)stack_top, (uintptr_t)reset};

static uintptr_t host(uintptr_t job, const void *words) {
  register uintptr_t r0 __asm__("r0") = job;
  register const void *r1 __asm__("r1") = words;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
// Instructions of a tick: with -icount shift=0 one takes a nanosecond, and the boards run at 25 MHz.
#define TICK 40u

static void clock_start(void) {
  SYST_RVR = 0xFFFFFFu;
  SYST_CVR = 0;
  SYST_CSR = 5;
}
static uint32_t clock_now(void) { return SYST_CVR; }
static uint32_t clock_between(uint32_t begin, uint32_t end) {
  return ((begin - end) & 0xFFFFFFu) * TICK;
}
static uint32_t *stack_now(void) {
  uint32_t *sp;
  __asm__ volatile("mov %0, sp" : "=r"(sp));
  return sp;
}

#endif

// What a compiler may call without a library.
void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

void *memset(void *to, int value, size_t size) {
  volatile uint8_t *byte = to;
  for (size_t i = 0; i < size; ++i)
    byte[i] = (uint8_t)value;
  return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  volatile uint8_t *byte = to;
  for (size_t i = 0; i < size; ++i)
    byte[i] = ((const uint8_t *)from)[i];
  return to;
}

int bench_read(void *bytes, size_t size) {
  const uintptr_t words[3] = {input, (uintptr_t)bytes, size};
  return host(SYS_READ, words) == 0;
}

void bench_write(const void *bytes, size_t size) {
  const uintptr_t words[3] = {output, (uintptr_t)bytes, size};
  host(SYS_WRITE, words);
}

static uint32_t begun;

__attribute__((noinline)) void bench_begin(void) {
  uint32_t *const top = stack_now();
  uint32_t *low = top - MOST_STACK / sizeof *low;
  low = low < stack_low ? stack_low : low;
  painted = low;
  for (volatile uint32_t *word = low; word < top; ++word)
    *word = PAINT;
  begun = clock_now();
}

__attribute__((noinline)) void bench_end(void) {
  const uint32_t now = clock_now();
  uint32_t *const top = stack_now();
  const uint32_t *word = painted;
  instructions += clock_between(begun, now);
  while (word < top && *word == PAINT)
    ++word;
  const uint32_t used = (uint32_t)((uintptr_t)top - (uintptr_t)word);
  deepest = used > deepest ? used : deepest;
}

uint64_t bench_instructions(void) {
  const uint64_t all = instructions;
  instructions = 0;
  return all;
}

uint32_t bench_stack(void) {
  const uint32_t most = deepest;
  deepest = 0;
  return most;
}

static uintptr_t opened(const char *name, uintptr_t size, uintptr_t mode) {
  const uintptr_t words[3] = {(uintptr_t)name, mode, size};
  return host(SYS_OPEN, words);
}

int main(void) {
  clock_start();
  input = opened("in.bin", 6, MODE_RB);
  output = opened("out.bin", 7, MODE_WB);
  bench();
#if __SIZEOF_POINTER__ == 8
  const uintptr_t reason[2] = {EXIT_FINE, 0};
  host(SYS_EXIT, reason);
#else
  host(SYS_EXIT, (const void *)(uintptr_t)EXIT_FINE);
#endif
  return 0;
}

void reset(void) {
  for (volatile uint32_t *word = bss_begin; word < bss_end; ++word)
    *word = 0;
  main();
  for (;;)
    ;
}
