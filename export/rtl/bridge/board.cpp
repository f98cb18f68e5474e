// pcedge_board in Verilator, behind a pseudo-terminal: what a program sees of a board on a serial line.
//
// board DIVISOR: writes the path of the terminal, a line, and runs until standard input ends. DIVISOR: cycles a bit, as
//   the top has it. Exit 2: there is no pseudo-terminal.
#include "Vpcedge_board.h"
#include "verilated.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

double sc_time_stamp() { return 0; }

namespace {

[[noreturn]] void fail(const char *what) {
  std::perror(what);
  std::exit(2);
}

/// No board is in reset for longer after power-on.
constexpr unsigned long long RESET_CYCLES = 1000;

/// \brief A line of eight data bits and a stop bit, that bytes are sent on.
class sender_t {
public:
  explicit sender_t(unsigned divisor) : divisor(divisor) {}
  bool rests() const { return left == 0; }
  void send(unsigned byte) {
    bits = 1u << 9 | byte << 1;
    left = 10 * divisor;
  }
  bool level() const { return left == 0 || bits >> (10 - (left + divisor - 1) / divisor) & 1; }
  void tick() { left -= left != 0; }

private:
  unsigned divisor, bits = 0, left = 0;
};

/// \brief Bytes that come on a line: read in the middle of every bit.
class receiver_t {
public:
  explicit receiver_t(unsigned divisor) : divisor(divisor) {}
  /// \brief One cycle; the byte that it ends, or -1.
  int tick(bool level) {
    if (!busy) {
      busy = !level;
      age = 0;
      byte = 0;
      return -1;
    }
    ++age;
    const unsigned place = age / divisor;
    if (age % divisor != divisor / 2)
      return -1;
    if (place == 0 && level)
      busy = false; // a spike
    if (place >= 1 && place <= 8)
      byte |= static_cast<unsigned>(level) << (place - 1);
    if (place < 9)
      return -1;
    busy = false;
    return level ? static_cast<int>(byte) : -1;
  }

private:
  unsigned divisor, age = 0, byte = 0;
  bool busy = false;
};

int open_terminal() {
  const int host = posix_openpt(O_RDWR | O_NOCTTY);
  if (host < 0 || grantpt(host) != 0 || unlockpt(host) != 0)
    fail("no pseudo-terminal");
  // The other end stays open here, so that a program may close and open it as it likes.
  const int other = open(ptsname(host), O_RDWR | O_NOCTTY);
  termios mode;
  if (other < 0 || tcgetattr(other, &mode) != 0)
    fail("no pseudo-terminal");
  cfmakeraw(&mode);
  if (tcsetattr(other, TCSANOW, &mode) != 0)
    fail("no pseudo-terminal");
  fcntl(host, F_SETFL, O_NONBLOCK);
  return host;
}

} // namespace

int main(int count, char **arguments) {
  const unsigned divisor =
      count == 2 ? static_cast<unsigned>(std::strtoul(arguments[1], nullptr, 10)) : 0;
  if (divisor < 4 || divisor > 1u << 20) {
    std::fprintf(stderr, "usage: board DIVISOR, which is at least 4\n");
    return 2;
  }
  const int host = open_terminal();
  std::printf("%s\n", ptsname(host));
  std::fflush(stdout);
  VerilatedContext context;
  const auto top = std::make_unique<Vpcedge_board>(&context);
  sender_t sender(divisor);
  receiver_t receiver(divisor);
  std::deque<unsigned char> come;
  std::deque<unsigned char> go;
  top->clk = 0;
  top->uart_rx = 1;
  for (unsigned long long cycle = 0, quiet = 0;; ++cycle) {
    if (cycle % 1024 == 0) {
      unsigned char bytes[512];
      const ssize_t got = read(host, bytes, sizeof bytes);
      if (got > 0)
        come.insert(come.end(), bytes, bytes + got);
      while (!go.empty() && write(host, &go.front(), 1) == 1)
        go.pop_front();
      // Where nothing moves, time goes on, slowly: a frame that is not whole is forgotten in the end.
      pollfd ends[2] = {{0, POLLIN, 0}, {host, POLLIN, 0}};
      poll(ends, 2, come.empty() && quiet > 40000 ? 1 : 0);
      char end;
      if (ends[0].revents && read(0, &end, 1) <= 0)
        return 0;
    }
    // A line that falls while a board is reset has no start bit.
    if (cycle > RESET_CYCLES && sender.rests() && !come.empty()) {
      sender.send(come.front());
      come.pop_front();
    }
    quiet = sender.rests() ? quiet + 1 : 0;
    top->uart_rx = sender.level();
    top->clk = 1;
    top->eval();
    top->clk = 0;
    top->eval();
    sender.tick();
    const int byte = receiver.tick(top->uart_tx);
    if (byte >= 0) {
      go.push_back(static_cast<unsigned char>(byte));
      quiet = 0;
    }
  }
}
