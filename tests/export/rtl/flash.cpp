// pcedge_flash with a serial flash memory beside it: the engine takes its model by itself, then a likelihood is asked for.
//
// flash FILE OFFSET SYMBOL...: FILE is what lies from OFFSET on. Prints the cycles until it is booted, its status, then
// the mantissa and the exponent of the record.
#include "Vpcedge_flash.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

double sc_time_stamp() { return 0; }

namespace {

/// \brief A flash memory: asleep until ab, then 03 and an address; SPI mode 0.
struct flash_t {
  std::vector<unsigned char> bytes;
  std::uint32_t offset = 0;
  bool awake = false, clock = false, out = false;
  unsigned count = 0;
  std::uint32_t command = 0;

  bool eval(bool cs_n, bool sck, bool mosi) {
    if (cs_n) {
      if (count == 8 && command == 0xab)
        awake = true;
      count = 0;
      command = 0;
    } else if (sck && !clock) {
      if (count < 32)
        command = command << 1 | mosi;
      ++count;
    } else if (!sck && clock && count >= 32 && awake && command >> 24 == 0x03) {
      const std::uint64_t bit = count - 32, place = (command & 0xffffff) + bit / 8 - offset;
      out = place < bytes.size() && bytes[place] >> (7 - bit % 8) & 1;
    }
    clock = sck;
    return out;
  }
};

VerilatedContext context;
Vpcedge_flash top{&context};
flash_t flash;

void tick() {
  top.clk = 1;
  top.eval();
  top.clk = 0;
  top.flash_miso = flash.eval(top.flash_cs_n, top.flash_sck, top.flash_mosi);
  top.eval();
}

void write(unsigned address, std::uint32_t word) {
  top.s_axi_awaddr = address;
  top.s_axi_wdata = word;
  top.s_axi_wstrb = 15;
  top.s_axi_awvalid = top.s_axi_wvalid = 1;
  top.eval();
  while (!top.s_axi_awready)
    tick();
  tick();
  top.s_axi_awvalid = top.s_axi_wvalid = 0;
}

std::uint32_t read(unsigned address) {
  top.s_axi_araddr = address;
  top.s_axi_arvalid = 1;
  top.eval();
  while (!top.s_axi_arready)
    tick();
  tick();
  top.s_axi_arvalid = 0;
  while (!top.s_axi_rvalid)
    tick();
  const std::uint32_t word = top.s_axi_rdata;
  tick();
  return word;
}

} // namespace

int main(int count, char **arguments) {
  if (count < 4)
    return 2;
  std::ifstream file(arguments[1], std::ios::binary);
  flash.bytes.assign(std::istreambuf_iterator<char>(file), {});
  flash.offset = static_cast<std::uint32_t>(std::strtoul(arguments[2], nullptr, 0));
  top.s_axi_bready = top.s_axi_rready = top.m_axis_0_tready = 1;
  top.rst = 1;
  for (int i = 0; i < 4; ++i)
    tick();
  top.rst = 0;
  // A host that comes too early waits.
  top.s_axi_arvalid = 1;
  long cycles = 0;
  while (!top.booted) {
    if (++cycles > 10'000'000 || top.s_axi_rvalid)
      return 2;
    tick();
  }
  top.s_axi_arvalid = 0;
  // A reset takes nothing away.
  top.rst = 1;
  tick();
  top.rst = 0;
  tick();
  std::printf("%ld %u\n", cycles, read(0x18));
  write(0x10, 0);
  write(0x100, 1);
  write(0, 1);
  for (int i = 3; i < count; ++i) {
    top.s_axis_0_tdata = static_cast<std::uint32_t>(std::strtol(arguments[i], nullptr, 10));
    top.s_axis_0_tlast = i + 1 == count;
    top.s_axis_0_tvalid = 1;
    top.eval();
    while (!top.s_axis_0_tready)
      tick();
    tick();
  }
  top.s_axis_0_tvalid = 0;
  for (int word = 0, waited = 0; word < 2; tick()) {
    if (top.m_axis_0_tvalid) {
      std::printf("%d\n", static_cast<std::int32_t>(top.m_axis_0_tdata));
      ++word;
    } else if (++waited > 1'000'000)
      return 2;
  }
  return 0;
}
