// A filter of HDF5 as a dynamic plugin, which HDF5_PLUGIN_PATH finds (docs/stores.md). What a chunk is, is written once,
// in pcedge/codec/hdf5_filter.py: the plugin hands chunks over to the Python that runs it, and needs no header of HDF5.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

#define PUBLIC __attribute__((visibility("default")))

// Of hdf5_filter.py.
#define FILTER_ID 446

typedef size_t (*filter_function)(unsigned, size_t, const unsigned *, size_t, size_t *, void **);

// H5Z_class2_t of H5Zpublic.h.
typedef struct {
  int version, id;
  unsigned encoder_present, decoder_present;
  const char *name;
  void *can_apply, *set_local;
  filter_function filter;
} filter_class;

static filter_function python_filter(void) {
  int (*initialized)(void);
  int (*ensure)(void);
  void (*release)(int);
  int (*run)(const char *);
  *(void **)&initialized = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
  *(void **)&ensure = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
  *(void **)&release = dlsym(RTLD_DEFAULT, "PyGILState_Release");
  *(void **)&run = dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
  if (!initialized || !ensure || !release || !run || !initialized()) {
    fprintf(stderr, "pcedge: the filter of HDF5 must be used from Python, as by h5py, this is "
                    "another process\n");
    return NULL;
  }
  filter_function found = NULL;
  char script[512];
  snprintf(script, sizeof script,
           "try:\n"
           "    import ctypes as _pcedge_c, pcedge.codec.hdf5_filter as _pcedge_f\n"
           "    _pcedge_c.c_void_p.from_address(%zu).value = _pcedge_f.address()\n"
           "except Exception as _pcedge_e:\n"
           "    import sys as _pcedge_s\n"
           "    print(f'pcedge: the filter of HDF5 must find pcedge: {_pcedge_e}', "
           "file=_pcedge_s.stderr)\n",
           (size_t)&found);
  int state = ensure();
  run(script);
  release(state);
  return found;
}

static size_t filter(unsigned flags, size_t count, const unsigned *values, size_t size,
                     size_t *room, void **buffer) {
  // HDF5 calls filters of a process one at a time.
  static filter_function found;
  if (!found)
    found = python_filter();
  return found ? found(flags, count, values, size, room, buffer) : 0;
}

static const filter_class pcedge_filter = {1, FILTER_ID, 1, 1, "pcedge", NULL, NULL, filter};

PUBLIC int H5PLget_plugin_type(void) { return 0; } // a filter

PUBLIC const void *H5PLget_plugin_info(void) { return &pcedge_filter; }
