# C simulation without a vendor tool: `make csim` builds the testbench and compares results with the golden vectors.
# For another machine: `make clean csim CXXFLAGS="-O1 -m32"`, or with a cross compiler and an emulator
# `make clean csim CXX="arm-linux-gnueabihf-g++ -static" RUN=qemu-arm`.
# AP_TYPES is the folder of ap_int.h; `pcedge doctor` prints it, and `pcedge simulate` sets it.
CXX ?= g++
AP_TYPES ?= $(shell python3 -c "import importlib.util as u, pathlib as p; s = u.find_spec('hls4ml'); print(p.Path(s.origin).parent / 'templates/vivado/ap_types' if s else '')")
# Higher levels, and ways out for exceptions, take long on one large function and gain little.
CXXFLAGS ?= -O1 -fno-exceptions
RUN ?=
# Pragmas and labels are for synthesis. The two guards keep ap_int.h from declaring std::complex forward, which
# libc++ refuses.
PCEDGE_FLAGS = -std=c++14 -Wall -Wextra -Wconversion -Wno-unknown-pragmas -Wno-unused-label \
	-DPCEDGE_STREAM_SHIM -D__AP_INT_SPECIAL_H__ -D__AP_FIXED_SPECIAL_H__ -Isrc -Iinclude -isystem "$(AP_TYPES)"
SOURCES = testbench/unrolled.cpp src/pcedge_unrolled.cpp
HEADERS = $(wildcard src/*.hpp include/pcedge/*/*)

# A circuit with a predictor stage has a testbench for it.
BENCHES = build/testbench $(patsubst testbench/%.cpp,build/%,$(wildcard testbench/predict.cpp))
build/predict: SOURCES = testbench/predict.cpp src/pcedge_predict.cpp

.PHONY: csim clean
csim: $(BENCHES)
	for bench in $(BENCHES); do $(RUN) $$bench golden golden || exit; done

build/%: $(wildcard testbench/*.cpp src/*.cpp) $(HEADERS)
	@test -f "$(AP_TYPES)/ap_int.h" || { echo "AP_TYPES must be the folder of ap_int.h, got '$(AP_TYPES)': activate the environment that has hls4ml, or name the folder that pcedge doctor prints: make csim AP_TYPES=..." >&2; exit 3; }
	mkdir -p build
	$(CXX) $(CXXFLAGS) $(PCEDGE_FLAGS) $(SOURCES) -o $@

clean:
	rm -rf build
