// What the shared library gives: the engines that it was built with and that this machine can run.
#include "pcedge.h"
#include <stdlib.h>
#include <string.h>

extern const pce_engine pce_engine_base;
#ifdef PCE_HAS_SSE41
extern const pce_engine pce_engine_sse41;
#endif
#ifdef PCE_HAS_AVX2
extern const pce_engine pce_engine_avx2;
#endif
#ifdef PCE_HAS_AVX512
extern const pce_engine pce_engine_avx512;
#endif
#ifdef PCE_HAS_VNNI
extern const pce_engine pce_engine_vnni;
#endif

int pce_abi(void) { return PCE_ABI; }

void pce_free(void *memory) { free(memory); }

const pce_engine *pce_engine_of(const char *isa) {
  const pce_engine *engines[5];
  int count = 0;
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init(); // which some compilers do not do before this runs
#endif
#ifdef PCE_HAS_VNNI
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi2"))
    engines[count++] = &pce_engine_vnni;
#endif
#ifdef PCE_HAS_AVX512
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
    engines[count++] = &pce_engine_avx512;
#endif
#ifdef PCE_HAS_AVX2
  if (__builtin_cpu_supports("avx2"))
    engines[count++] = &pce_engine_avx2;
#endif
#ifdef PCE_HAS_SSE41
  if (__builtin_cpu_supports("sse4.1"))
    engines[count++] = &pce_engine_sse41;
#endif
  engines[count++] = &pce_engine_base;
  if (!*isa)
    return engines[0];
  for (int i = 0; i < count; ++i)
    if (!strcmp(engines[i]->isa, isa))
      return engines[i];
  return NULL;
}
